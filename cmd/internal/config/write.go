package config

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed template.toml
var tomlTemplate string

//go:embed template.csv
var listTemplate string

// TemplateValues is what init knows already; all of it may be empty.
type TemplateValues struct {
	ID, Name, Customer, Provider, Reviewer string
	Domains                                []string
	SourceHost, DestinationHost            string
}

// WriteTemplates writes mailproof.toml and mailboxes.csv into dir, which it
// makes if need be, and returns their paths. It replaces no file: if one of
// the two is there the error wraps [fs.ErrExist] and neither is written.
func WriteTemplates(dir string, v TemplateValues) ([]string, error) {
	text, err := renderTemplate(v)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	files := []struct{ path, text string }{
		{filepath.Join(dir, FileName), text},
		{filepath.Join(dir, ListName), listTemplate},
	}
	var written []string
	for _, f := range files {
		if _, err := os.Lstat(f.path); err == nil {
			return nil, fmt.Errorf("%s: %w", f.path, fs.ErrExist)
		}
	}
	for _, f := range files {
		if err := writeNew(f.path, f.text); err != nil {
			for _, path := range written {
				err = errors.Join(err, os.Remove(path))
			}
			return nil, err
		}
		written = append(written, f.path)
	}
	return written, nil
}

func renderTemplate(v TemplateValues) (string, error) {
	t, err := template.New(FileName).Funcs(template.FuncMap{"toml": tomlString}).Parse(tomlTemplate)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, v)
	return b.String(), err
}

// tomlString writes a basic string of TOML 1.0.
func tomlString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range strings.ToValidUTF8(s, "\ufffd") {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c < 0x20 || c == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// writeNew writes a file whole or not at all, and never over another: a link
// to the finished file fails where there is one.
func writeNew(path, text string) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(tmp.Name())) }()
	_, err = tmp.WriteString(text)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	err = os.Link(tmp.Name(), path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	return writeExclusive(path, text) // a file system without links
}

func writeExclusive(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}
