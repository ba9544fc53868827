"""Did it change? A paired session of two servers, measured and judged; and stored runs judged again.

`ab` measures, `compare` reads; what they have in common is in `judge`. The arithmetic knows nothing of servers
(`statistics`), the reading nothing of processes.
"""
