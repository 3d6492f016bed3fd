package main

import "github.com/rogpeppe/go-internal/testscript"

func runWeb(ts *testscript.TestScript, args []string) error { return nil }
