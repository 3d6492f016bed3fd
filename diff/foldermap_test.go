package diff

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// boxes reads a list of mailboxes: "Sent \Sent", "a/b (noselect)".
func boxes(sep, prefix string, lines ...string) []mailproof.Mailbox {
	var out []mailproof.Mailbox
	for _, l := range lines {
		m := mailproof.Mailbox{Separator: sep, Prefix: prefix}
		if name, ok := strings.CutSuffix(l, " (noselect)"); ok {
			l, m.NoSelect = name, true
		}
		if i := strings.LastIndex(l, ` \`); i >= 0 {
			l, m.SpecialUse = l[:i], mailproof.SpecialUse(l[i+1:])
		}
		m.Name = l
		if m.IsInbox() {
			m.Prefix = ""
		}
		out = append(out, m)
	}
	return out
}

func rules(t testing.TB, maps ...string) Rules {
	t.Helper()
	r, err := ParseRules(maps, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFolderMap(t *testing.T) {
	for _, tt := range []struct {
		name     string
		src, dst []mailproof.Mailbox
		maps     []string
		refused  string
		want     []string // source → destination, in order
		warnings string
	}{
		{
			name: "the same", src: boxes("/", "", "INBOX", "a", "a/b"), dst: boxes("/", "", "INBOX", "a", "a/b"),
			want: []string{"INBOX → INBOX", "a → a", "a/b → a/b"},
		},
		{
			name: "to Courier", src: boxes("/", "", "INBOX", "Sent", "Work/2019", "INBOX/Sub"), dst: boxes(".", "INBOX.", "INBOX", "INBOX.Trash"),
			want: []string{"INBOX → INBOX", "Sent → INBOX.Sent", "Work/2019 → INBOX.Work.2019", "INBOX/Sub → INBOX.Sub"},
		},
		{
			name: "from Courier", src: boxes(".", "INBOX.", "INBOX", "INBOX.Sent", "INBOX.Work.2019"), dst: boxes("/", "", "INBOX"),
			want: []string{"INBOX → INBOX", "INBOX.Sent → Sent", "INBOX.Work.2019 → Work/2019"},
		},
		{
			name: "a child of the inbox and a top folder want one name", src: boxes("/", "", "INBOX", "Sub", "INBOX/Sub"), dst: boxes(".", "INBOX.", "INBOX", "INBOX.x"),
			want: []string{"INBOX → INBOX", "Sub → INBOX.Sub", "INBOX/Sub → INBOX.Sub (2)"}, warnings: "renamed",
		},
		{
			name: "special use", src: boxes("/", "", "INBOX", `Gesendet \Sent`, "Gesendet/2019", `Papierkorb \Trash`), dst: boxes("/", "", "INBOX", `Sent Items \Sent`, `Deleted Items \Trash`),
			want: []string{"INBOX → INBOX", "Gesendet → Sent Items", "Gesendet/2019 → Sent Items/2019", "Papierkorb → Deleted Items"},
		},
		{
			name: "an exact name wins over a use", src: boxes("/", "", `Sent \Sent`), dst: boxes("/", "", "Sent", `Sent Items \Sent`),
			want: []string{"Sent → Sent"},
		},
		{
			name: "well-known names", src: boxes("/", "", "INBOX", "Sent Messages", "Spam", "Drafts"), dst: boxes("/", "", "INBOX", "Sent Items", "Junk E-mail", "Entwürfe"),
			want: []string{"INBOX → INBOX", "Sent Messages → Sent Items", "Spam → Junk E-mail", "Drafts → Drafts"},
		},
		{
			name: "two of one class keep apart", src: boxes("/", "", "Sent", "Sent Messages", "Sent Items"), dst: boxes("/", "", "Sent Items"),
			want: []string{"Sent → Sent", "Sent Messages → Sent Messages", "Sent Items → Sent Items"},
		},
		{
			name: "the one that announces its use goes first", src: boxes("/", "", "Sent", `Ausgang \Sent`), dst: boxes("/", "", `Sent Items \Sent`),
			want: []string{"Sent → Sent", "Ausgang → Sent Items"},
		},
		{
			name: "by hand, with children", src: boxes("/", "", "INBOX", "Old", "Old/2019", "Old/2019/May"), dst: boxes(".", "", "INBOX", "Archive"), maps: []string{"Old=Archive/Before"},
			want: []string{"INBOX → INBOX", "Old → Archive.Before", "Old/2019 → Archive.Before.2019", "Old/2019/May → Archive.Before.2019.May"},
		},
		{
			name: "merged by hand", src: boxes("/", "", "Sent", "Old Sent", "Old Sent/x", "Sent/x"), dst: boxes("/", "", "Sent"), maps: []string{"Old Sent=Sent"},
			want: []string{"Sent → Sent", "Old Sent → Sent", "Old Sent/x → Sent/x", "Sent/x → Sent/x"}, warnings: "merged merged",
		},
		{
			name: "merged by two rules, with children", src: boxes("/", "", "A", "A/x", "B", "B/x"), dst: boxes("/", "", "INBOX"), maps: []string{"A=C", "B=C"},
			want: []string{"A → C", "A/x → C/x", "B → C", "B/x → C/x"}, warnings: "merged merged",
		},
		{
			name: "to the inbox by hand", src: boxes(".", "INBOX.", "INBOX", "INBOX.Old"), dst: boxes("/", "", "INBOX"), maps: []string{"Old=inbox"},
			want: []string{"INBOX → INBOX", "INBOX.Old → INBOX"}, warnings: "merged",
		},
		{
			name: "by the whole name and to a whole name", src: boxes(".", "INBOX.", "INBOX.Old"), dst: boxes(".", "INBOX.", "INBOX", "INBOX.z"), maps: []string{"INBOX.Old=INBOX.New.Sub"},
			want: []string{"INBOX.Old → INBOX.New.Sub"},
		},
		{
			name: "no such folder", src: boxes("/", "", "a"), dst: boxes("/", "", "INBOX"), maps: []string{"b=c"},
			want: []string{"a → a"}, warnings: "rule-unused",
		},
		{
			name: "the separator in a name", src: boxes("/", "", "a.b", "a_b", "a.b/c"), dst: boxes(".", "", "INBOX"),
			want: []string{"a.b → a_b (2)", "a_b → a_b", "a.b/c → a_b (2).c"}, warnings: "renamed",
		},
		{
			name: "refused, and there", src: boxes("/", "", `50%`), dst: boxes("/", "", "INBOX", `50%`), refused: `\"%*`,
			want: []string{`50% → 50%`},
		},
		{
			name: "a made-up name is not taken for one that is borne", src: boxes("/", "", "a.b", "a_b"), dst: boxes(".", "", "INBOX", "a_b", "a_b (2)"),
			want: []string{"a.b → a_b (2)", "a_b → a_b"}, warnings: "renamed",
		},
		{
			name: "refused characters", src: boxes("/", "", `50%`, `x*y\z`), dst: boxes("/", "", "INBOX"), refused: `\"%*`,
			want: []string{`50% → 50_`, `x*y\z → x_y_z`}, warnings: "renamed renamed",
		},
		{
			name: "a flat server", src: boxes("/", "", "a/b", "c"), dst: boxes("", "", "INBOX"),
			want: []string{"a/b → a_b", "c → c"},
		},
		{
			name: "other normalisation", src: boxes("/", "", "Entwu\u0308rfe"), dst: boxes("/", "", "Entw\u00fcrfe"),
			want: []string{"Entwu\u0308rfe → Entw\u00fcrfe"},
		},
		{
			name: "case", src: boxes("/", "", "inbox", "Work", "work"), dst: boxes("/", "", "INBOX"),
			want: []string{"INBOX → INBOX", "Work → Work", "work → work"}, warnings: "case",
		},
		{
			name: "a folder that is no inbox", src: boxes(".", "INBOX.", "INBOX", "INBOX.INBOX"), dst: boxes("/", "", "INBOX"),
			want: []string{"INBOX → INBOX", "INBOX.INBOX → INBOX (2)"}, warnings: "renamed",
		},
		{
			name: "containers", src: boxes("/", "", "a (noselect)", "a/b"), dst: boxes(".", "", "INBOX"),
			want: []string{"a → a", "a/b → a.b"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := rules(t, tt.maps...)
			r.Refused = tt.refused
			m, warnings := NewFolderMap(tt.src, tt.dst, r)
			var got, codes []string
			for _, s := range m.Sources() {
				target, _ := m.Target(s)
				got = append(got, s+" → "+target)
			}
			for _, w := range warnings {
				codes = append(codes, w.Code)
			}
			slices.Sort(codes)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if strings.Join(codes, " ") != tt.warnings {
				t.Errorf("warnings %q, want %q", warnings, tt.warnings)
			}
		})
	}
}

// Whatever the lists, no two mailboxes have one destination unless a rule says
// so, every name can be made on the destination, and the map is the same after
// its mailboxes were created.
func TestFolderMapProperties(t *testing.T) {
	names := []string{"a", "b", "Sent", "Sent Items", "Junk", "Spam", "x.y", "x_y", "x/y", "Archive", "ü", "INBOX", "a b", "a (2)", "Trash"}
	uses := []mailproof.SpecialUse{"", "", "", mailproof.UseSent, mailproof.UseJunk, mailproof.UseTrash}
	r := rand.New(rand.NewPCG(3, 80))
	list := func() []mailproof.Mailbox {
		sep := []string{"/", ".", ""}[r.IntN(3)]
		prefix := ""
		if sep == "." && r.IntN(2) == 0 {
			prefix = "INBOX."
		}
		out := []mailproof.Mailbox{{Name: "INBOX", Separator: sep}}
		seen := map[string]bool{"INBOX": true}
		for range r.IntN(12) {
			var levels []string
			for range 1 + r.IntN(3) {
				level := names[r.IntN(len(names))]
				if sep != "" {
					level = strings.ReplaceAll(level, sep, "-")
				}
				levels = append(levels, level)
			}
			if sep == "" {
				levels = levels[:1]
			}
			m := mailproof.Mailbox{Name: prefix + strings.Join(levels, sep), Separator: sep, Prefix: prefix, SpecialUse: uses[r.IntN(len(uses))], NoSelect: r.IntN(8) == 0}
			if !seen[m.Name] {
				seen[m.Name] = true
				out = append(out, m)
			}
		}
		return out
	}
	for n := range 2500 {
		src, dst := list(), list()
		var hand Rules
		if r.IntN(3) == 0 {
			hand = rules(t, src[r.IntN(len(src))].Name+"=Sent")
		}
		m, _ := NewFolderMap(src, dst, hand)
		used := map[string]string{}
		exists := map[string]bool{}
		for _, d := range dst {
			exists[d.Name] = true
		}
		after := slices.Clone(dst)
		style := newMapper(dst, Rules{})
		for _, s := range src {
			target, ok := m.Target(s.Name)
			if !ok || target == "" {
				t.Fatalf("%d: %q has no destination", n, s.Name)
			}
			if s.NoSelect {
				continue
			}
			if first, taken := used[nameKey(target)]; taken && len(hand.maps) == 0 {
				t.Fatalf("%d: %q and %q both become %q", n, first, s.Name, target)
			}
			used[nameKey(target)] = s.Name
			if !exists[target] {
				if !strings.HasPrefix(target, style.prefix) {
					t.Fatalf("%d: %q is outside of the namespace %q", n, target, style.prefix)
				}
				after = append(after, mailproof.Mailbox{Name: target, Separator: style.sep, Prefix: style.prefix, SpecialUse: m.Use(s.Name)})
			}
		}
		again, _ := NewFolderMap(src, after, hand)
		for _, s := range src {
			x, _ := m.Target(s.Name)
			if y, _ := again.Target(s.Name); x != y && !s.NoSelect {
				t.Fatalf("%d: %q becomes %q, and %q once that was created\nsource %v\ndestination %v", n, s.Name, x, y, src, dst)
			}
		}
		if third, _ := NewFolderMap(src, dst, hand); !maps.Equal(third.targets, m.targets) {
			t.Fatalf("%d: the map is not a function of its arguments", n)
		}
	}
}

func TestExcluded(t *testing.T) {
	r, err := ParseRules(nil, []string{`\Junk`, "Old*", "a/%/z", `q\*`, "inbox", "Ne?"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		m    mailproof.Mailbox
		want string
	}{
		{mailproof.Mailbox{Name: "Spam", Separator: "/"}, `\Junk`},
		{mailproof.Mailbox{Name: "Werbung", SpecialUse: `\junk`}, `\Junk`},
		{mailproof.Mailbox{Name: "Junk", SpecialUse: mailproof.UseArchive}, ""},
		{mailproof.Mailbox{Name: "a/Junk", Separator: "/"}, ""},
		{mailproof.Mailbox{Name: "Old/2019", Separator: "/"}, "Old*"},
		{mailproof.Mailbox{Name: "INBOX.Old", Separator: ".", Prefix: "INBOX."}, "Old*"},
		{mailproof.Mailbox{Name: "old"}, ""},
		{mailproof.Mailbox{Name: "a.b.z", Separator: "."}, "a/%/z"},
		{mailproof.Mailbox{Name: "a.b.c.z", Separator: "."}, ""},
		{mailproof.Mailbox{Name: "q*"}, `q\*`},
		{mailproof.Mailbox{Name: "qx"}, ""},
		{mailproof.Mailbox{Name: "INBOX"}, "inbox"},
		{mailproof.Mailbox{Name: "New"}, "Ne?"},
		{mailproof.Mailbox{Name: "Ne"}, ""},
	} {
		if got, ok := r.Excluded(tt.m); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%+v: %q, want %q", tt.m, got, tt.want)
		}
	}
}

// All that is wrong is named, each with the flag as it was written.
func TestParseRulesErrors(t *testing.T) {
	_, err := ParseRules([]string{"a", "=b", "a=", "a=b//c", "a=b\x00", "x=1", "x=2", `a\=b=c`}, []string{"", `\Jnuk`, `ab\`})
	if err == nil {
		t.Fatal("no error")
	}
	want := `--map "a": write OLD=NEW
--map "=b": the source folder is missing before "="
--map "a=": the destination folder is missing after "="
--map "a=b//c": the destination folder has an empty level
--map "a=b\x00": a folder name holds a control character
--map "x=2": "x" is mapped twice
--exclude "": the pattern is empty
--exclude "\\Jnuk": no such special use; known are \All, \Archive, \Drafts, \Flagged, \Junk, \Sent and \Trash
--exclude "ab\\": nothing follows the last "\"`
	if err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func FuzzRules(f *testing.F) {
	f.Add("Old=New/Sub", `\Junk`, "Old", "/", "Archive.Old", ".")
	f.Add(`a\=b=c`, "a*%?", "INBOX.a=b", ".", "x", "")
	f.Fuzz(func(t *testing.T, m, x, name, sep, other, otherSep string) {
		r, err := ParseRules([]string{m}, []string{x})
		if err != nil {
			return
		}
		src := []mailproof.Mailbox{{Name: name, Separator: sep}, {Name: "INBOX", Separator: sep}}
		dst := []mailproof.Mailbox{{Name: other, Separator: otherSep}}
		fm, _ := NewFolderMap(src, dst, r)
		for _, s := range src {
			_, excluded := r.Excluded(s)
			if target, ok := fm.Target(s.Name); ok == excluded || ok && target == "" && s.Name != "" {
				t.Errorf("%q: excluded %v, mapped to %q", s.Name, excluded, target)
			}
		}
	})
}
