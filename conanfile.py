"""Conan recipe: `conan create .` builds memoman by cargo; its headers and libmemoman.a."""

import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.files import copy, load


class Memoman(ConanFile):
    name = "memoman"
    license = "MIT OR Apache-2.0"
    description = "TLSF memory allocator: constant time, over memory that the caller supplies"
    topics = ("allocator", "tlsf", "real-time", "embedded")
    settings = "os", "arch"
    package_type = "static-library"
    exports_sources = (
        "Cargo.*", "LICENSE-*", "Makefile", "build.rs", "cbindgen.toml", "crates/*", "include/*",
        "packaging/start.c", "scripts/*", "src/*", "tests/*",
    )

    def set_version(self):
        text = load(self, os.path.join(self.recipe_folder, "Cargo.toml"))
        self.version = re.search(r'^version = "(.+)"$', text, re.MULTILINE)[1]

    def validate_build(self):
        wanted, here = self.settings, self.settings_build
        if wanted.os != "Linux" or (wanted.os, wanted.arch) != (here.os, here.arch):
            raise ConanInvalidConfiguration(
                f"cargo builds memoman for the Linux machine that it runs on, not for {wanted.os} "
                f"{wanted.arch}: scripts/build-lib.sh FOLDER TARGET builds for others")

    def build(self):
        self.run("scripts/build-lib.sh dist release")

    def package(self):
        copy(self, "*.a", os.path.join(self.build_folder, "dist"),
             os.path.join(self.package_folder, "lib"))
        copy(self, "*", os.path.join(self.build_folder, "include"),
             os.path.join(self.package_folder, "include"))
        copy(self, "LICENSE-*", self.build_folder, os.path.join(self.package_folder, "licenses"))

    def package_info(self):
        self.cpp_info.libs = ["memoman"]
        self.cpp_info.system_libs = ["pthread"]
        self.cpp_info.set_property("cmake_target_name", "memoman::memoman")
        self.cpp_info.set_property("pkg_config_name", "memoman")
