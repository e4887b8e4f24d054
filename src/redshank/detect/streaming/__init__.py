"""The default streaming detector (E1): no training needed, one causal pass, many sensors."""

from redshank.detect.streaming.kernels import FIRST_FIT
from redshank.detect.streaming.pool import StreamingPool
from redshank.detect.streaming.scores import Cause, Scores, StreamingSettings

__all__ = ["FIRST_FIT", "Cause", "Scores", "StreamingPool", "StreamingSettings"]
