package engagement

import "runtime/debug"

// tidy gives the memory of a stage back once it is over: what comes next, such
// as the comparison and the report, needs other memory, and the peak is to be
// that of the largest stage and not of their sum. did says that the stage did
// anything: a collection costs more than a pass with nothing new.
func (e *Engagement) tidy(did bool) {
	if !did {
		return
	}
	e.spool.Shrink()
	debug.FreeOSMemory()
}
