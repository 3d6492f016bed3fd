package report

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	_ "image/jpeg" // the two formats that a logo may have
	"image/png"
	"math"
	"strconv"

	"github.com/mailproof/mailproof/report/chart"
	"github.com/mailproof/mailproof/report/pdf"
)

// Bounds of a logo. A picture of more points than these would weigh more than
// the report.
const (
	mostLogoOctets = 4 << 20
	mostLogoPoints = 4 << 20
	logoHeight     = 8.0  // millimetres, in the upper margin
	logoWidth      = 60.0 // millimetres
)

// Check reports what is wrong with a brand: a logo that is no picture, a colour
// that is none or that cannot be read on white paper.
func (b Brand) Check() error {
	if _, err := b.logo(); err != nil {
		return err
	}
	if b.Accent == "" {
		return nil
	}
	c, err := parseColour(b.Accent)
	if err != nil {
		return err
	}
	if ratio := contrast(c, white); ratio < 4.5 {
		return fmt.Errorf("has a contrast of %.1f to white, headings need 4.5", ratio)
	}
	return nil
}

// picture is a logo made ready for both media: opaque, on white.
type picture struct {
	png  []byte
	w, h int
}

// logo decodes the logo and sets it on white, as paper has no transparency and
// an archive no need of it. Nil where there is none.
func (b Brand) logo() (*picture, error) {
	if len(b.Logo) == 0 {
		return nil, nil
	}
	if len(b.Logo) > mostLogoOctets {
		return nil, fmt.Errorf("has %s octets, at most %s are taken", comma(int64(len(b.Logo))), comma(mostLogoOctets))
	}
	config, format, err := image.DecodeConfig(bytes.NewReader(b.Logo))
	if err != nil {
		return nil, errors.New("is neither PNG nor JPEG")
	}
	if config.Width <= 0 || config.Height <= 0 || config.Width*config.Height > mostLogoPoints {
		return nil, fmt.Errorf("has %d × %d points, at most %s in all are taken", config.Width, config.Height, comma(mostLogoPoints))
	}
	img, _, err := image.Decode(bytes.NewReader(b.Logo))
	if err != nil {
		return nil, fmt.Errorf("is no sound %s: %w", format, err)
	}
	flat := image.NewRGBA(image.Rect(0, 0, config.Width, config.Height))
	draw.Draw(flat, flat.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(flat, flat.Bounds(), img, img.Bounds().Min, draw.Over)
	var out bytes.Buffer
	if err := png.Encode(&out, flat); err != nil {
		return nil, err
	}
	return &picture{png: out.Bytes(), w: config.Width, h: config.Height}, nil
}

// size is the size of the logo on paper, in millimetres.
func (p *picture) size() (w, h float64) {
	h = logoHeight
	w = h * float64(p.w) / float64(p.h)
	if w > logoWidth {
		w, h = logoWidth, logoWidth*float64(p.h)/float64(p.w)
	}
	return w, h
}

var (
	white = pdf.Colour{R: 0xff, G: 0xff, B: 0xff}
	night = pdf.Colour{R: 0x14, G: 0x17, B: 0x1a} // the page on a dark screen
)

func parseColour(s string) (pdf.Colour, error) {
	if len(s) == 7 && s[0] == '#' {
		if n, err := strconv.ParseUint(s[1:], 16, 24); err == nil {
			return pdf.Colour{R: uint8(n >> 16), G: uint8(n >> 8), B: uint8(n)}, nil
		}
	}
	return pdf.Colour{}, errors.New("is no colour in the form #rrggbb")
}

// contrast is the ratio of WCAG 2.1: 1 for none, 21 for black on white.
func contrast(a, b pdf.Colour) float64 {
	x, y := luminance(a), luminance(b)
	return (math.Max(x, y) + 0.05) / (math.Min(x, y) + 0.05)
}

func luminance(c pdf.Colour) float64 {
	linear := func(v uint8) float64 {
		f := float64(v) / 255
		if f <= 0.04045 {
			return f / 12.92
		}
		return math.Pow((f+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

// accentColour is the colour of headings on paper. One that Check refuses is
// not used.
func accentColour(s string) pdf.Colour {
	if c, err := parseColour(s); err == nil && contrast(c, white) >= 4.5 {
		return c
	}
	return colour(chart.Ink)
}

// accentStyles are the rules of the style sheet for an accent; on a dark screen
// it is lightened until it can be read.
func accentStyles(s string) string {
	c, err := parseColour(s)
	if err != nil || contrast(c, white) < 4.5 {
		return ""
	}
	dark := c
	for i := 0; i < 20 && contrast(dark, night) < 4.5; i++ {
		lift := func(v uint8) uint8 { return v + (255-v)/8 + 1 - v/255 }
		dark = pdf.Colour{R: lift(dark.R), G: lift(dark.G), B: lift(dark.B)}
	}
	hex := func(c pdf.Colour) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }
	return fmt.Sprintf(":root{--accent:%s}\n@media screen and (prefers-color-scheme:dark){:root{--accent:%s}}\n", hex(c), hex(dark))
}
