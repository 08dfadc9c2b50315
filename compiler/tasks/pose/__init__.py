"""Key points of people."""

from compiler.tasks.pose.topdown import Pose, PreparedPoses, TopdownPose

__all__ = [
    "Pose",
    "PreparedPoses",
    "TopdownPose",
]
