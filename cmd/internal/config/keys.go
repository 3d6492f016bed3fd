package config

import (
	"reflect"
	"strings"
)

// knownKeys returns the keys of one table of the file.
func knownKeys(table []string) []string {
	t := reflect.TypeFor[Config]()
	for _, name := range table {
		next, ok := fieldByKey(t, name)
		if !ok {
			return nil
		}
		for next.Kind() == reflect.Slice {
			next = next.Elem()
		}
		if next.Kind() != reflect.Struct {
			return nil
		}
		t = next
	}
	var keys []string
	for i := range t.NumField() {
		if k := t.Field(i).Tag.Get("toml"); k != "" && k != "-" {
			keys = append(keys, k)
		}
	}
	return keys
}

func fieldByKey(t reflect.Type, name string) (reflect.Type, bool) {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("toml") == name {
			return t.Field(i).Type, true
		}
	}
	return nil, false
}

// keyLine finds the line of a key for an error text; the library keeps no
// positions. It returns 0 where the key is written in a way of which it makes
// nothing, such as within an inline table.
func keyLine(text string, path []string) int {
	table, want := "", strings.Join(path, ".")
	line := 0
	for text := range strings.Lines(text) {
		line++
		text = strings.TrimSpace(text)
		if strings.HasPrefix(text, "[") {
			name, _, _ := strings.Cut(strings.TrimLeft(text, "["), "]")
			table = unquoteKey(name) + "."
			if table == want+"." {
				return line
			}
			continue
		}
		k, _, ok := strings.Cut(text, "=")
		if ok && strings.TrimPrefix(table+unquoteKey(k), ".") == want {
			return line
		}
	}
	return 0
}

func unquoteKey(k string) string {
	return strings.NewReplacer(`"`, "", `'`, "", " ", "", "\t", "").Replace(k)
}
