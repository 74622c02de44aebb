"""Post-training quantization: a float network and calibration data become an int8 model."""

from enginekit.quantize.calibrate import Range
from enginekit.quantize.model import quantize
from enginekit.quantize.report import LayerReport, Report, measure

__all__ = ["LayerReport", "Range", "Report", "measure", "quantize"]
