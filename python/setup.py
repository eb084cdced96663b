"""The parts of the build that pyproject.toml cannot say: the version comes from CMakeLists.txt, and the wheel holds a
library for one platform but no extension module, so any Python 3 can use it."""
import os

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.dist import Distribution


class PlatformDistribution(Distribution):
    def has_ext_modules(self):
        return True


class PlatformWheel(bdist_wheel):
    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


setup(version=os.environ.get("SLIPWAY_VERSION", "0.0.0"), distclass=PlatformDistribution, cmdclass={"bdist_wheel": PlatformWheel})
