"""The models of keras.applications that a scenario can name: their size, and what has to be done to pixels for them.

Some have their preprocessing inside; to the others it is added as layers in front, so that every model takes RGB pixels
from 0 to 255. Keras is not needed to know them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Preprocessing = Literal["inside", "tf", "torch", "caffe"]
"""inside: the model does it; tf: from -1 to 1; torch: ImageNet's mean and deviation; caffe: BGR less its mean."""


@dataclass(frozen=True, slots=True)
class Application:
    """What a model of keras.applications takes: photos of `size` x `size`, prepared in some way."""

    size: int
    preprocessing: Preprocessing


APPLICATIONS: Mapping[str, Application] = {
    **{f"EfficientNetB{number}": Application(size, "inside")
       for number, size in enumerate((224, 240, 260, 300, 380, 456, 528, 600))},
    **{f"EfficientNetV2B{number}": Application(size, "inside") for number, size in enumerate((224, 240, 260, 300))},
    "EfficientNetV2S": Application(384, "inside"),
    "MobileNet": Application(224, "tf"),
    "MobileNetV2": Application(224, "tf"),
    "MobileNetV3Small": Application(224, "inside"),
    "MobileNetV3Large": Application(224, "inside"),
    "ResNet50": Application(224, "caffe"),
    "ResNet101": Application(224, "caffe"),
    "ResNet152": Application(224, "caffe"),
    "ResNet50V2": Application(224, "tf"),
    "ResNet101V2": Application(224, "tf"),
    "ResNet152V2": Application(224, "tf"),
    "DenseNet121": Application(224, "torch"),
    "DenseNet169": Application(224, "torch"),
    "DenseNet201": Application(224, "torch"),
    "InceptionV3": Application(299, "tf"),
    "Xception": Application(299, "tf"),
    "NASNetMobile": Application(224, "tf"),
    "VGG16": Application(224, "caffe"),
    "VGG19": Application(224, "caffe"),
}  # fmt: skip

KERAS_APPLICATIONS: tuple[str, ...] = tuple(APPLICATIONS)
"""The models that a scenario can name without having a file."""
