package main

import (
	"os"
	"runtime/debug"
)

// Garbage is collected when the heap has grown by a third, not when it has
// doubled: mailproof runs for hours beside other things, on the machine of whoever
// migrates. Of a heap of a few megabytes a third is so little that the collector
// would hardly rest; the ballast, which counts as heap and of which no page is ever
// touched, has it wait for some megabytes more.
const (
	heapGrowth  = 35 // percent
	ballastSize = 12 << 20
)

// saveMemory sets how often garbage is collected, for as long as the ballast that
// it returns is kept. GOGC says otherwise, as for any Go program.
func saveMemory() (ballast []byte) {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	debug.SetGCPercent(heapGrowth)
	return make([]byte, ballastSize)
}
