package main

import (
	"os"
	"runtime/debug"
)

// saveMemory has garbage collected at a heap a third as large again as what is in
// use, instead of twice as large: mailproof runs for hours beside other things,
// on the machine of whoever migrates. GOGC says otherwise, as for any Go program.
func saveMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(35)
	}
}
