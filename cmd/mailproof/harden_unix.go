//go:build unix && !linux

package main

import "syscall"

// keepFromDumps sees to it that no core dump of this process, which holds
// passwords and tokens, is written. What cannot be had is done without.
func keepFromDumps() {
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
}
