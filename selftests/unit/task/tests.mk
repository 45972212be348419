# SPDX-License-Identifier: GPL-2.0
tests += task
task-src := task/task.c ../../kmod/task.c
