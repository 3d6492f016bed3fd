//go:build !race

package engagement

const raceEnabled = false
