package config

import (
	"fmt"
	"os"

	"github.com/mailproof/mailproof/report"
)

// mostLogo bounds the file of a logo, in octets.
const mostLogo = 4 << 20

// LogoFile returns the picture that the report is to carry; nil where none is
// named.
func (r Report) LogoFile(dir string) ([]byte, error) {
	if r.Logo == "" {
		return nil, nil
	}
	return ReadLogo(inDir(dir, r.Logo))
}

// ReadLogo reads the file of a logo and holds it to what a report can carry.
func ReadLogo(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > mostLogo {
		return nil, fmt.Errorf("%s: no file of at most 4 MB", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := (report.Brand{Logo: data}).Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// validate holds the dress to what can be printed and read, before hours of
// work end in a report that cannot be written.
func (r Report) validate(dir string, bad func(key, reason string, hints ...string)) {
	if err := (report.Brand{Accent: r.Accent}).Check(); err != nil {
		bad("report.accent", err.Error(), `write a colour that reads on white, as "#1d4a5a"`)
	}
	if _, err := r.LogoFile(dir); err != nil {
		bad("report.logo", err.Error(), "give a PNG or JPEG file of at most 4 MB")
	}
	r.validateLanguage(dir, bad)
}
