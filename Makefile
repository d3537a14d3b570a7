# SPDX-License-Identifier: MIT
# A thin front for meson: see README.md for the two commands.

BUILD ?= build

.PHONY: all
all: $(BUILD)/build.ninja
	meson compile -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup $(BUILD)
