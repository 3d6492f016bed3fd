package main

import "golang.org/x/sys/unix"

// keepFromDumps sees to it that no core dump of this process, which holds
// passwords and tokens, is written, not by way of a pipe to a crash reporter
// either, and that other processes of the same user can neither attach to it
// nor read its memory and environment. Go leaves copies of strings that nobody
// can wipe: so the memory is kept to ourselves. What cannot be had is done
// without.
func keepFromDumps() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
