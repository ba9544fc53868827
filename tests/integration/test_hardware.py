"""The operations of real layers, and the peak of this machine, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.machine.peak import measure_peak

ROOT = Path(__file__).parents[2]
LAYERS = """
import json, sys
import keras, tensorflow as tf
from bench.model.count_flops import count

L = keras.layers
def flops(shape, *layers):
    model = keras.Sequential([keras.Input(shape), *layers])
    function = tf.function(lambda x: model(x, training=False))
    return count(function.get_concrete_function(tf.TensorSpec((1, *shape), tf.float32)))

plain = dict(use_bias=False)
found = {
    "dense": flops((64,), L.Dense(10, **plain)),
    "dense with bias and relu": flops((64,), L.Dense(10, activation="relu")),
    "same": flops((32, 32, 3), L.Conv2D(8, 3, padding="same", **plain)),
    "valid": flops((32, 32, 3), L.Conv2D(8, 3, padding="valid", **plain)),
    "stride": flops((32, 32, 3), L.Conv2D(8, 3, strides=2, padding="same", **plain)),
    "groups": flops((8, 8, 16), L.Conv2D(16, 3, groups=4, padding="same", **plain)),
    "depthwise": flops((8, 8, 16), L.DepthwiseConv2D(5, padding="same", **plain)),
    "separable": flops((8, 8, 16), L.SeparableConv2D(32, 3, padding="same", **plain)),
}
b0 = keras.applications.EfficientNetB0(weights=None)
function = tf.function(lambda x: b0(x, training=False))
found["B0"] = count(function.get_concrete_function(tf.TensorSpec((1, 224, 224, 3), tf.float32)))
print(json.dumps(found))
"""


@pytest.mark.integration
@pytest.mark.tensorflow
def test_the_counter_agrees_with_layers_whose_count_is_known() -> None:
    env = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", LAYERS], capture_output=True, text=True, env=env, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = json.loads(ran.stdout.splitlines()[-1])
    flops = {name: each["flops"] for name, each in found.items()}
    assert flops["dense"] == 2 * 64 * 10
    assert flops["dense with bias and relu"] == 2 * 64 * 10 + 10 + 10
    assert flops["same"] == 2 * 32 * 32 * 8 * 27
    assert flops["valid"] == 2 * 30 * 30 * 8 * 27
    assert flops["stride"] == 2 * 16 * 16 * 8 * 27
    assert flops["groups"] == 2 * 8 * 8 * 16 * 9 * 4
    assert flops["depthwise"] == 2 * 8 * 8 * 16 * 25
    assert flops["separable"] == 2 * 8 * 8 * 16 * 9 + 2 * 8 * 8 * 16 * 32
    assert found["B0"]["unknown"] == {}
    assert found["B0"]["multiply_adds"] == pytest.approx(0.39e9, rel=0.02)  # as published with the model


@pytest.mark.integration
def test_the_peak_of_this_machine_is_measured_within_its_patience() -> None:
    peak = measure_peak((min(os.sched_getaffinity(0)),), seconds=0.05, patience=15.0)
    assert peak.reached["f32"].flops > 1e8
    assert peak.cores == 1
