//go:build unix

package ledger

import (
	"os"
	"os/exec"
	"syscall"
)

// asNobody has a command run without privileges, where there are any to lose.
func asNobody(cmd *exec.Cmd) {
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
}
