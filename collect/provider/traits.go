package provider

import (
	"bytes"
	"slices"
)

// Trait is something about a message's octets that servers refuse or change.
type Trait string

// The traits.
const (
	BareLF          Trait = "bare-lf"      // a line feed without a carriage return
	LoneCR          Trait = "lone-cr"      // a carriage return without a line feed
	NUL             Trait = "nul"          // an octet 0
	EightBitHeader  Trait = "8-bit-header" // octets above 127 in the header
	Empty           Trait = "empty"        // no octet at all
	NoHeader        Trait = "no-header"    // a header line that is no field
	traitHeaderScan       = 256 << 10
)

var traitMeanings = map[Trait]string{
	BareLF: "line feeds without carriage returns", LoneCR: "carriage returns without line feeds", NUL: "NUL octets",
	EightBitHeader: "octets above 127 in the header", Empty: "no octets at all", NoHeader: "header lines that are no fields",
}

// Meaning says in plain words what the messages hold.
func (t Trait) Meaning() string { return traitMeanings[t] }

// Refusals are the traits that APPEND refuses; Alterations those of messages
// that are stored otherwise than they came.
func (p *Provider) Refusals() []Trait {
	return traitsOf(p, func(p *Provider) []string { return p.Refuses })
}

// Alterations: see [Provider.Refusals].
func (p *Provider) Alterations() []Trait {
	return traitsOf(p, func(p *Provider) []string { return p.Changes })
}

func traitsOf(p *Provider, list func(*Provider) []string) []Trait {
	if p == nil {
		return nil
	}
	var out []Trait
	for _, t := range list(p) {
		out = append(out, Trait(t))
	}
	return out
}

// Inspector finds the traits of a message that is written to it. Its memory is
// bounded.
type Inspector struct {
	octets int64
	last   byte
	header []byte
	body   bool // the header is over
	found  []Trait
}

// Write implements [io.Writer]; it never fails.
func (x *Inspector) Write(b []byte) (int, error) {
	for _, c := range b {
		switch {
		case c == '\n' && x.last != '\r':
			x.note(BareLF)
		case x.last == '\r' && c != '\n':
			x.note(LoneCR)
		}
		if c == 0 {
			x.note(NUL)
		}
		if !x.body {
			x.inHeader(c)
		}
		x.last = c
		x.octets++
	}
	return len(b), nil
}

// inHeader looks at one octet of the header, line by line.
func (x *Inspector) inHeader(c byte) {
	if c >= 0x80 {
		x.note(EightBitHeader)
	}
	if c != '\n' {
		if len(x.header) < traitHeaderScan {
			x.header = append(x.header, c)
		}
		return
	}
	line := bytes.TrimSuffix(x.header, []byte("\r"))
	switch {
	case len(line) == 0:
		x.body, x.header = true, nil
		return
	case line[0] == ' ' || line[0] == '\t':
	case bytes.IndexByte(line, ':') <= 0 && !bytes.HasPrefix(line, []byte("From ")):
		x.note(NoHeader)
	}
	x.header = x.header[:0]
}

func (x *Inspector) note(t Trait) {
	if !slices.Contains(x.found, t) {
		x.found = append(x.found, t)
	}
}

// Traits returns what was found once the whole message was written.
func (x *Inspector) Traits() []Trait {
	out := slices.Clone(x.found)
	if x.octets == 0 {
		out = append(out, Empty)
	}
	if x.last == '\r' && !slices.Contains(out, LoneCR) {
		out = append(out, LoneCR)
	}
	return out
}
