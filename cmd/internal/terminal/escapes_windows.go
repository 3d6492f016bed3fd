package terminal

import "golang.org/x/sys/windows"

// enableEscapes makes a console interpret escape sequences, and reports
// whether it does.
func enableEscapes(fd uintptr) bool {
	var mode uint32
	h := windows.Handle(fd)
	if windows.GetConsoleMode(h, &mode) != nil {
		return false
	}
	return windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
