package config

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/zalando/go-keyring"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/credential"
)

// oddities are what names, logins and passwords are made of in the wild.
var oddities = []string{"a", "B", "7", ".", "-", "_", "+", "=", "#", ",", ";", `"`, "'", " x", "ä", "%", "\\", "|", "*", "/", ":"}

func odd(r *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(oddities[r.IntN(len(oddities))])
	}
	return b.String()
}

// Whatever a list carries: what is converted and read again has the same
// accounts, the same logins and the same passwords, and no password stands in
// the clear in either file.
func TestConvertKeepsEverything(t *testing.T) {
	keyring.MockInit()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for round := range 40 {
		r := rand.New(rand.NewPCG(7, uint64(round)))
		dir := t.TempDir()
		key := filepath.Join(dir, "key.txt")
		check(t, os.WriteFile(key, []byte(identity.String()+"\n"), 0o600))
		t.Setenv(credential.IdentityVariable, key)
		var list strings.Builder
		list.WriteString("EmailAddress,UserName,Password\n")
		quoted := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
		for i := range 20 {
			fmt.Fprintf(&list, "user%d@example.com,%s,%s\n", i, quoted(fmt.Sprintf("u%d%s", i, strings.TrimSpace(odd(r, 5)))), quoted("pw-"+odd(r, 12)+"-end"))
		}
		in, out := filepath.Join(dir, "in.csv"), filepath.Join(dir, "out.csv")
		check(t, os.WriteFile(in, []byte(list.String()), 0o600))
		d := Defaults{Source: Server{URL: "imaps://old.example"}, Destination: Server{URL: "imaps://new.example"}}
		before, _, err := ReadAccounts(in, d)
		check(t, err)
		vault := NewKeyringVault("")
		if round%2 == 0 {
			if vault, err = NewAgeVault(filepath.Join(dir, "pw.age"), "pw.age", nil); err != nil {
				t.Fatal(err)
			}
		}
		kept, err := Convert(t.Context(), before, out, vault)
		if err != nil || kept != 40 {
			t.Fatalf("round %d: %d passwords, %v", round, kept, err)
		}
		after, _, err := ReadAccounts(out, Defaults{})
		check(t, err)
		if len(after) != len(before) {
			t.Fatalf("%d accounts became %d", len(before), len(after))
		}
		resolver := credential.NewResolver(nil)
		for i := range before {
			for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
				if before[i].Name != after[i].Name || before[i].Endpoint(side) != after[i].Endpoint(side) {
					t.Fatalf("round %d:\n%+v\nbecame\n%+v", round, before[i], after[i])
				}
				want, got := secretOf(t, resolver, before[i].Password(side)), secretOf(t, resolver, after[i].Password(side))
				if want != got {
					t.Fatalf("round %d, %s: password %q became %q", round, before[i].Name, want, got)
				}
				for _, file := range []string{"out.csv", "pw.age"} {
					if data, _ := os.ReadFile(filepath.Join(dir, file)); strings.Contains(string(data), want) {
						t.Fatalf("round %d: a password stands in %s", round, file)
					}
				}
			}
		}
	}
}

func secretOf(t *testing.T, r *credential.Resolver, ref credential.Ref) string {
	t.Helper()
	s, err := r.Resolve(context.Background(), ref)
	if err != nil {
		t.Fatalf("%s: %v", ref, err)
	}
	return s.Reveal()
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Nothing is written where passwords have nowhere to go, and nothing is
// overwritten.
func TestConvertRefuses(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.csv"), filepath.Join(dir, "out.csv")
	check(t, os.WriteFile(in, []byte("EmailAddress,UserName,Password\na@example.com,a,secret\n"), 0o600))
	entries, _, err := ReadAccounts(in, Defaults{Source: Server{URL: "imaps://old.example"}, Destination: Server{URL: "imaps://new.example"}})
	check(t, err)
	if _, err := Convert(t.Context(), entries, out, nil); !errors.Is(err, ErrPasswords) {
		t.Errorf("without a vault: %v", err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a list was written all the same")
	}
	if _, err := Convert(t.Context(), entries, in, NewKeyringVault("")); err == nil || !strings.Contains(err.Error(), "not overwritten") {
		t.Errorf("onto itself: %v", err)
	}
	t.Setenv(credential.IdentityVariable, "")
	if _, err := NewAgeVault(filepath.Join(dir, "x.age"), "x.age", nil); err == nil {
		t.Error("encrypted for nobody")
	}
	if _, err := NewAgeVault(in, "in.csv", []string{"age1nonsense"}); err == nil {
		t.Error("a recipient that is none")
	}
}

// BenchmarkReadForms reads 50,000 rows of each form: it has to stay well
// under a second.
func BenchmarkReadForms(b *testing.B) {
	for _, form := range []struct{ name, header, row string }{
		{"own", "name,source,source_password,destination,destination_password,map", "u%[1]d@example.com,imaps://u%[1]d%%40example.com@imap.old.example,env:BENCH_PW,imaps://u%[1]d%%40example.com@imap.new.example,env:BENCH_PW,Old=New"},
		{"microsoft", "EmailAddress,UserName,Password", "u%[1]d@example.com,u%[1]d,secret-%[1]d"},
		{"imapsync", "", "imap.old.example;u%[1]d;secret-%[1]d;imap.new.example;u%[1]d@example.com;other-%[1]d;"},
		{"plain", "", "u%[1]d@example.com\tu%[1]d\tsecret-%[1]d"},
	} {
		b.Run(form.name, func(b *testing.B) {
			b.Setenv("BENCH_PW", "x")
			var list strings.Builder
			if form.header != "" {
				list.WriteString(form.header + "\n")
			}
			for i := range 50_000 {
				fmt.Fprintf(&list, form.row+"\n", i)
			}
			path := filepath.Join(b.TempDir(), "list.csv")
			if err := os.WriteFile(path, []byte(list.String()), 0o600); err != nil {
				b.Fatal(err)
			}
			d := Defaults{Source: Server{URL: "imaps://imap.old.example"}, Destination: Server{URL: "imaps://imap.new.example"}}
			for b.Loop() {
				entries, _, err := ReadAccounts(path, d)
				if err != nil || len(entries) != 50_000 {
					b.Fatal(len(entries), err)
				}
			}
		})
	}
}
