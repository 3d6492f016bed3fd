package main

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
)

// poison fills every text of a value with characters that move cursors, turn
// the direction of writing, ring bells and end lines, but for names that the
// program itself chooses by.
func poison(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() {
			v.SetString(text)
		}
	case reflect.Pointer:
		if v.IsNil() && v.CanSet() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		if v.Type() != reflect.TypeFor[*time.Time]() {
			poison(v.Elem(), text)
		}
	case reflect.Slice:
		if v.CanSet() && v.Type().Elem().Kind() != reflect.Uint8 {
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			for i := range v.Len() {
				poison(v.Index(i), text)
			}
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"T0": text}))
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				poison(f, text)
			}
		}
	}
}

// Whatever mail holds, nothing of it reaches the terminal as more than text.
func TestExplainEscapes(t *testing.T) {
	const hostile = "\x1b[2J\x07\u202e\u2066text\u0000\r\x9b\n-second line"
	var x engagement.Explanation
	poison(reflect.ValueOf(&x), hostile)
	x.Verdict, x.Tier = mailproof.Altered, mailproof.T3
	x.Source.State, x.Destination.State = "read", "read"
	x.Fetched.Source.Error, x.Fetched.Destination.Error = "", hostile
	var out bytes.Buffer
	a := &app{out: &out, err: &out, term: terminal.Plain(&out, &out)}
	if err := a.printExplanation(&x, false); err != nil {
		t.Fatal(err)
	}
	if strings.Count(out.String(), "text") < 20 {
		t.Fatalf("printed too little for the test to say anything:\n%s", out.String())
	}
	for line := range strings.Lines(out.String()) {
		for _, c := range strings.TrimSuffix(line, "\n") {
			if unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || c == unicode.ReplacementChar {
				t.Errorf("%q", line)
				break
			}
		}
	}
}
