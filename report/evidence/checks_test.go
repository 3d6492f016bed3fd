package evidence

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// signAgain makes manifests and signatures of a bundle anew, as its signer
// could: what is still found wrong is found by more than hashes of files.
func signAgain(tb testing.TB, m memory, k Key) memory {
	tb.Helper()
	payload, tags := manifest{}, manifest{}
	for name, data := range m {
		if strings.HasPrefix(name, "data/") {
			payload[name] = sumOf(data)
		}
	}
	m[fileManifest] = payload.text()
	for name, data := range m {
		if !strings.HasPrefix(name, "data/") && !strings.HasPrefix(name, "sig/") && name != fileTagManifest {
			tags[name] = sumOf(data)
		}
	}
	m[fileTagManifest] = tags.text()
	signatures, err := signTagManifest(k, m[fileTagManifest])
	if err != nil {
		tb.Fatal(err)
	}
	maps.Copy(m, signatures)
	return m
}

// rootAgain makes the checkpoint of a tree anew, and the id; the report then
// cites another.
func rootAgain(tb testing.TB, m memory, k Key, tree string) {
	tb.Helper()
	c, err := readCheckpoint(m[checkpointFile(tree)])
	if err != nil {
		tb.Fatal(err)
	}
	old := c.Hash.String()
	c.Root = rootOf(tree, m[linesFile(tree)])
	if m[checkpointFile(tree)], err = c.sign(k); err != nil {
		tb.Fatal(err)
	}
	oldID := "mp1-" + strings.Split(string(m[fileBagInfo]), "mp1-")[1][:16]
	id := bundleID([3][]byte{m[checkpointFile(treeSource)], m[checkpointFile(treeDestination)], m[checkpointFile(treeVerdicts)]})
	for _, name := range []string{fileBagInfo, fileReportJSON, fileReportHTML} {
		m[name] = bytes.ReplaceAll(bytes.ReplaceAll(m[name], []byte(oldID), []byte(id)), []byte(old), []byte(c.Hash.String()))
		m[name] = bytes.ReplaceAll(m[name], []byte(strings.ReplaceAll(old, "+", "&#43;")), []byte(c.Hash.String()))
	}
}

func rootOf(name string, data []byte) Root {
	var t tree
	for _, l := range linesOf(data) {
		if len(l) > 0 {
			t.add(tlog.RecordHash(bytes.TrimSuffix(l, []byte("\n"))))
		}
	}
	return Root{name, t.size, t.root()}
}

// Every check stands for itself: with everything before it made to fit by the
// signer, it finds what it is there to find.
func TestEachCheckAlone(t *testing.T) {
	k := testKey(t)
	s := seal(t, newFake(1, 20), Options{Key: k})
	whole := load(t, s.Dir)
	replace := func(m memory, file, old, new string) {
		t.Helper()
		changed := bytes.Replace(m[file], []byte(old), []byte(new), 1)
		if bytes.Equal(changed, m[file]) {
			t.Fatalf("%s does not hold %q", file, old)
		}
		m[file] = changed
	}
	swap := func(m memory, file string, i, j int) {
		lines := linesOf(m[file])
		lines[i], lines[j] = lines[j], lines[i]
		m[file] = bytes.Join(lines, nil)
	}
	for _, tt := range []struct {
		name string
		do   func(m memory)
		want []string // checks that fail, no more and no less
		file string
		line int64
	}{
		{"nothing", func(memory) {}, nil, "", 0},
		{"a line of the source, the root left", func(m memory) { replace(m, linesFile(treeSource), `"size":1001`, `"size":1009`) },
			[]string{CheckRoots, CheckVerdicts}, linesFile(treeSource), 2},
		{"a line of the source, the root made to fit", func(m memory) {
			replace(m, linesFile(treeSource), `"size":1001`, `"size":1009`)
			rootAgain(t, m, k, treeSource)
		}, []string{CheckVerdicts}, linesFile(treeSource), 2},
		{"a line of the destination, the root made to fit", func(m memory) {
			replace(m, linesFile(treeDestination), `"size":1001`, `"size":1009`)
			rootAgain(t, m, k, treeDestination)
		}, []string{CheckVerdicts}, linesFile(treeDestination), 2},
		{"white space in a line", func(m memory) {
			replace(m, linesFile(treeVerdicts), `"uid":3,`, `"uid": 3,`)
			rootAgain(t, m, k, treeVerdicts)
		}, []string{CheckLines, CheckVerdicts, CheckEquation}, linesFile(treeVerdicts), 3},
		{"two verdicts in another order", func(m memory) { swap(m, linesFile(treeVerdicts), 3, 4); rootAgain(t, m, k, treeVerdicts) },
			[]string{CheckLines, CheckVerdicts}, linesFile(treeVerdicts), 5},
		{"a verdict less", func(m memory) {
			lines := linesOf(m[linesFile(treeVerdicts)])
			m[linesFile(treeVerdicts)] = bytes.Join(slices.Delete(lines, 4, 5), nil)
			rootAgain(t, m, k, treeVerdicts)
		}, []string{CheckVerdicts, CheckEquation, CheckReport}, linesFile(treeSource), 5},
		{"missing called excluded", func(m memory) {
			replace(m, linesFile(treeVerdicts), `"verdict":"missing"`, `"verdict":"excluded"`)
			rootAgain(t, m, k, treeVerdicts)
		}, []string{CheckEquation, CheckReport}, fileReportJSON, 0},
		{"missing called identical", func(m memory) {
			replace(m, linesFile(treeVerdicts), `"verdict":"missing"`, `"verdict":"identical","tier":"T0"`)
			rootAgain(t, m, k, treeVerdicts)
		}, []string{CheckVerdicts, CheckEquation, CheckReport}, linesFile(treeVerdicts), 8},
		{"a verdict at a tier that the messages do not share", func(m memory) {
			replace(m, linesFile(treeVerdicts), `"verdict":"altered","tier":"T3"`, `"verdict":"identical","tier":"T0"`)
			rootAgain(t, m, k, treeVerdicts)
		}, []string{CheckVerdicts, CheckEquation}, linesFile(treeVerdicts), 12},
		{"an unknown verdict", func(m memory) {
			replace(m, linesFile(treeVerdicts), `"verdict":"missing"`, `"verdict":"lost"`)
			rootAgain(t, m, k, treeVerdicts)
		}, []string{CheckVerdicts, CheckEquation, CheckReport}, linesFile(treeVerdicts), 8},
		{"the report counts one more", func(m memory) { replace(m, fileReportJSON, `"identical": 16`, `"identical": 17`) }, []string{CheckEquation}, fileReportJSON, 0},
		{"the report says complete", func(m memory) { replace(m, fileReportJSON, `"verdict": "INCOMPLETE"`, `"verdict": "COMPLETE"`) }, []string{CheckEquation, CheckReport}, fileReportJSON, 0},
		{"bag-info says complete", func(m memory) { replace(m, fileBagInfo, "Verdict: INCOMPLETE", "Verdict: COMPLETE") }, []string{CheckReport}, fileBagInfo, 0},
		{"the report lists another exception", func(m memory) { replace(m, fileReportJSON, `"id": "E-001"`, `"id": "E-009"`) }, []string{CheckReport}, fileReportJSON, 0},
		{"the page cites another root", func(m memory) { replace(m, fileReportHTML, s.Bundle, "mp1-0000000000000000") }, []string{CheckReport}, fileReportHTML, 0},
		{"the report cites another key", func(m memory) { replace(m, fileReportJSON, s.Fingerprint, testKey(t).Public().Fingerprint()) }, []string{CheckReport}, fileReportJSON, 0},
		{"a checkpoint of another bundle", func(m memory) {
			m[checkpointFile(treeSource)] = load(t, seal(t, newFake(1, 20), Options{Key: k}).Dir)[checkpointFile(treeSource)]
		}, []string{CheckCheckpoints}, checkpointFile(treeSource), 1},
		{"a checkpoint by another key", func(m memory) {
			c, err := readCheckpoint(m[checkpointFile(treeSource)])
			if err != nil {
				t.Fatal(err)
			}
			if m[checkpointFile(treeSource)], err = c.sign(testKey(t)); err != nil {
				t.Fatal(err)
			}
		}, []string{CheckCheckpoints, CheckReport}, checkpointFile(treeSource), 0},
		{"a pass twice", func(m memory) {
			lines := linesOf(m[filePasses])
			m[filePasses] = bytes.Join(append([][]byte{lines[0]}, lines...), nil)
		}, []string{CheckLines}, filePasses, 2},
		{"a finding in another form", func(m memory) { replace(m, fileDNS, `"kind":"finding"`, `"kind" :"finding"`) }, []string{CheckLines}, fileDNS, 1},
		{"a file more", func(m memory) { m["data/more.jsonl"] = []byte("{}\n") }, []string{CheckManifest, CheckFiles}, fileManifest, 0},
		{"the last line without its end", func(m memory) {
			m[fileDispositions] = bytes.TrimSuffix(m[fileDispositions], []byte("\n"))
		}, []string{CheckLines}, fileDispositions, 2},
		{"a disposition that nobody made", func(m memory) { replace(m, fileReportJSON, `"disposition": "open"`, `"disposition": "accepted"`) },
			[]string{CheckRecords}, fileReportJSON, 0},
		{"a decision left out of the report", func(m memory) { replace(m, fileReportJSON, `"disposition": "accepted"`, `"disposition": "open"`) },
			[]string{CheckRecords}, fileReportJSON, 0},
		{"waived called accepted", func(m memory) { replace(m, fileDispositions, `"disposition":"accepted"`, `"disposition":"waived"`) },
			[]string{CheckRecords}, fileReportJSON, 0},
		{"a decision by somebody else", func(m memory) { replace(m, fileDispositions, `"by":"Anna`, `"by":"Otto`) }, []string{CheckRecords}, fileReportJSON, 0},
		{"a decision for another reason", func(m memory) { replace(m, fileReportJSON, `"why": "spam of`, `"why": "ham of`) }, []string{CheckRecords}, fileReportJSON, 0},
		{"a decision at another time", func(m memory) { replace(m, fileReportJSON, `"when": "2026-11-20T12`, `"when": "2026-11-20T13`) }, []string{CheckRecords}, fileReportJSON, 0},
		{"a decision on another verdict", func(m memory) { replace(m, fileDispositions, `"verdict":"missing"`, `"verdict":"altered"`) }, []string{CheckRecords}, fileReportJSON, 0},
		{"a decision that was taken back", func(m memory) {
			m[fileDispositions] = bytes.ReplaceAll(m[fileDispositions], []byte(`"disposition":"accepted"`), []byte(`"disposition":"open"`))
		}, []string{CheckRecords}, fileReportJSON, 0},
		{"a decision taken out", func(m memory) { m[fileDispositions] = linesOf(m[fileDispositions])[1] }, []string{CheckRecords}, fileReportJSON, 0},
		{"a finding accepted by nobody", func(m memory) { m[fileDispositions] = linesOf(m[fileDispositions])[0] }, []string{CheckRecords}, fileReportJSON, 0},
		{"a finding accepted by somebody else", func(m memory) { replace(m, fileReportJSON, "accepted by Anna", "accepted by Otto") }, []string{CheckRecords}, fileReportJSON, 0},
		{"a noted exception with a decision", func(m memory) { replace(m, fileReportJSON, `"disposition": "accepted"`, `"disposition": "noted"`) },
			[]string{CheckRecords}, fileReportJSON, 0},
		{"an exception at another tier", func(m memory) { replace(m, fileReportJSON, `"tier": "none"`, `"tier": "T2"`) }, []string{CheckReport}, fileReportJSON, 0},
		{"a word that nobody gave", func(m memory) { m[fileAttestations] = nil }, []string{CheckRecords}, fileReportJSON, 0},
		{"a word that was taken back", func(m memory) {
			replace(m, fileAttestations, `"note":"none","not_applicable":true`, `"note":"none","withdrawn":true`)
		},
			[]string{CheckRecords}, fileReportJSON, 0},
		{"a word with another note", func(m memory) { replace(m, fileReportJSON, `"note": "plan of 12`, `"note": "plan of 13`) }, []string{CheckRecords}, fileReportJSON, 0},
		{"a word by somebody else", func(m memory) {
			replace(m, fileAttestations, `"by":"Anna Northgate","note":"plan`, `"by":"Otto Northgate","note":"plan`)
		}, []string{CheckRecords}, fileReportJSON, 0},
		{"a step that nobody did", func(m memory) {
			m[fileReportJSON] = regexp.MustCompile(`("id": "webmail",(\s+"[a-z]+": [^,]+,)*\s+"state": )"open"`).ReplaceAll(m[fileReportJSON], []byte(`$1"done"`))
		}, []string{CheckRecords}, fileReportJSON, 0},
		{"a step left out of the report", func(m memory) { replace(m, fileReportJSON, `"id": "terms"`, `"id": "names"`) }, []string{CheckRecords}, fileReportJSON, 0},
		{"DNS that says something else", func(m memory) { replace(m, fileDNS, `"outcome":"pass"`, `"outcome":"warn"`) }, []string{CheckRecords}, fileReportJSON, 0},
		{"DNS that was seen otherwise", func(m memory) { replace(m, fileReportJSON, `"observed": "mx.`, `"observed": "my.`) }, []string{CheckRecords}, fileReportJSON, 0},
		{"an exchange with another answer", func(m memory) { replace(m, fileDNS, `10 mx.`, `20 mx.`) }, []string{CheckRecords}, fileReportJSON, 0},
		{"an exchange taken out", func(m memory) { m[fileDNS] = linesOf(m[fileDNS])[0] }, []string{CheckRecords}, fileReportJSON, 0},
		{"a pass of another side", func(m memory) { replace(m, filePasses, `"side":"source"`, `"side":"destination"`) }, []string{CheckRecords}, fileReportJSON, 0},
		{"a pass that was killed", func(m memory) { replace(m, fileReportJSON, `"state": "done"`, `"state": "interrupted"`) }, []string{CheckRecords}, fileReportJSON, 0},
		{"a pass taken out", func(m memory) { m[filePasses] = linesOf(m[filePasses])[0] }, []string{CheckRecords}, fileReportJSON, 0},
		{"a deletion taken out", func(m memory) { m[fileDeletions] = nil }, []string{CheckRecords}, fileReportJSON, 0},
		{"a deletion that did not end so", func(m memory) { replace(m, fileReportJSON, `"state": "kept"`, `"state": "done"`) }, []string{CheckRecords}, fileReportJSON, 0},
		{"a deletion of another message", func(m memory) { replace(m, fileDeletions, `"uid":1002`, `"uid":1003`) }, []string{CheckRecords}, fileReportJSON, 0},
		{"no file of attestations", func(m memory) { delete(m, fileAttestations) }, []string{CheckManifest, CheckLines, CheckFiles}, fileAttestations, 0},
		{"another format", func(m memory) { replace(m, fileBagInfo, Format, "mailproof/bundle/2") }, []string{CheckFiles}, fileBagInfo, 0},
		{"no report", func(m memory) { delete(m, fileReportJSON) }, []string{CheckTagManifest, CheckReport}, fileTagManifest, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := maps.Clone(whole)
			tt.do(m)
			v, err := verifyStore(t.Context(), signAgain(t, m, k), VerifyOptions{Trust: Trust{Fingerprints: []string{s.Fingerprint}}, TempDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			var failed []string
			for _, c := range v.Checks {
				if c.Problems > 0 {
					failed = append(failed, c.Check)
				}
			}
			slices.Sort(failed)
			slices.Sort(tt.want)
			if !slices.Equal(failed, tt.want) {
				t.Errorf("failed: %v, want %v: %v", failed, tt.want, v.Problems)
			}
			if tt.file != "" && !slices.ContainsFunc(v.Problems, func(p Problem) bool { return p.File == tt.file && p.Line == tt.line }) {
				t.Errorf("%s:%d is not named: %v", tt.file, tt.line, v.Problems)
			}
		})
	}
}
