package chart

import (
	"bytes"
	"fmt"
	"html"
	"strconv"
	"strings"
)

// SVG returns the drawing as an <svg> element with the given class. A drawing
// with a title is announced by it; one without is hidden from assistive
// technology, as the words beside it say the same. Colours are classes (f-k1,
// s-ink …) and patterns references (#h-rel …), for the style sheet and the
// definitions that [Definitions] returns; nothing is styled inline.
func (d Drawing) SVG(class string) string {
	var b bytes.Buffer
	b.WriteString("<svg")
	if class != "" {
		fmt.Fprintf(&b, ` class="%s"`, html.EscapeString(class))
	}
	fmt.Fprintf(&b, ` viewBox="0 0 %s %s"`, number(d.W), number(d.H))
	if d.Title == "" {
		b.WriteString(` aria-hidden="true">`)
	} else {
		fmt.Fprintf(&b, ` role="img"><title>%s</title><desc>%s</desc>`, escape(d.Title), escape(d.Description))
	}
	d.body(&b)
	b.WriteString("</svg>")
	return b.String()
}

// Definitions returns the hatchings, and every mark as a symbol, for the one
// hidden <svg> that the others refer to.
func Definitions() string {
	var b bytes.Buffer
	b.WriteString(`<pattern id="h-rel" width="4" height="4" patternUnits="userSpaceOnUse"><rect width="4" height="4" class="f-k3"/><rect width="4" height="1" class="f-k1"/></pattern>`)
	b.WriteString(`<pattern id="h-halt" width="4.4" height="4.4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="4.4" height="4.4" class="f-bg"/><rect width="2.4" height="4.4" class="f-alt"/></pattern>`)
	b.WriteString(`<pattern id="h-hunr" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="4" height="4" class="f-bg"/><rect width="4" height="1.3" class="f-unr"/><rect width="1.3" height="4" class="f-unr"/></pattern>`)
	b.WriteString(`<pattern id="h-band" width="9" height="9" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="9" height="9" class="f-bg"/><rect width="4" height="9" class="f-unr"/></pattern>`)
	for _, m := range Marks() {
		d := m.Drawing()
		fmt.Fprintf(&b, `<symbol id="%s" viewBox="0 0 %s %s">`, m, number(d.W), number(d.H))
		d.body(&b)
		b.WriteString("</symbol>")
	}
	return b.String()
}

func (d Drawing) body(b *bytes.Buffer) {
	for _, s := range d.Shapes {
		if s.Kind == Label {
			s.label(b)
			continue
		}
		if s.Fill != None {
			s.element(b, fillAttribute(s.Fill))
		}
		if s.Stroke != None {
			s.element(b, s.strokeAttributes())
		}
	}
}

func fillAttribute(p Paint) string {
	if p.IsPattern() {
		return fmt.Sprintf(` fill="url(#h-%s)"`, p)
	}
	return fmt.Sprintf(` class="f-%s"`, p)
}

func (s Shape) strokeAttributes() string {
	a := fmt.Sprintf(` class="s-%s" stroke-width="%s"`, s.Stroke, number(s.Weight))
	if len(s.Dash) > 0 {
		dash := make([]string, len(s.Dash))
		for i, n := range s.Dash {
			dash[i] = number(n)
		}
		a += ` stroke-dasharray="` + strings.Join(dash, " ") + `"`
	}
	return a
}

func (s Shape) element(b *bytes.Buffer, attributes string) {
	switch s.Kind {
	case Rectangle:
		fmt.Fprintf(b, `<rect x="%s" y="%s" width="%s" height="%s"%s/>`, number(s.P.X), number(s.P.Y), number(s.Size.X), number(s.Size.Y), attributes)
	case Disc:
		fmt.Fprintf(b, `<circle cx="%s" cy="%s" r="%s"%s/>`, number(s.P.X), number(s.P.Y), number(s.Size.X), attributes)
	case Path:
		b.WriteString(`<path d="`)
		for i, p := range s.Points {
			if i == 0 {
				b.WriteByte('M')
			} else {
				b.WriteByte('L')
			}
			b.WriteString(number(p.X) + " " + number(p.Y))
		}
		if s.Closed {
			b.WriteByte('z')
		}
		fmt.Fprintf(b, `"%s/>`, attributes)
	}
}

func (s Shape) label(b *bytes.Buffer) {
	var class []string
	switch s.Fill {
	case Ink2:
		class = append(class, "t2")
	case Ink3:
		class = append(class, "t3")
	case Inverse:
		class = append(class, "inv")
	}
	if s.Bold {
		class = append(class, "tb")
	}
	switch s.Align {
	case Middle:
		class = append(class, "c")
	case End:
		class = append(class, "e")
	}
	if s.Letters != 0 && s.Letters != TextSize {
		class = append(class, "sm")
	}
	fmt.Fprintf(b, `<text x="%s" y="%s"`, number(s.P.X), number(s.P.Y))
	if len(class) > 0 {
		fmt.Fprintf(b, ` class="%s"`, strings.Join(class, " "))
	}
	fmt.Fprintf(b, `>%s</text>`, escape(s.Text))
}

// escape makes foreign text safe in markup. Characters that HTML cannot hold
// are replaced, as a parser would.
func escape(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '\uFFFD'
		}
		return r
	}, s)
	return html.EscapeString(s)
}

// number writes a coordinate with at most two decimals.
func number(f float64) string {
	s := strconv.FormatFloat(f, 'f', 2, 64)
	s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	if s == "-0" || s == "" {
		return "0"
	}
	return s
}
