"""Driving load: Locust in child processes, one row per request.

`drive.py` is the parent's side; `locustfile.py` and what it imports run in the child, which gevent patches,
and are started by path. Both sides meet in `job.py` (what to send) and `rows.py` (what came of it).
"""
