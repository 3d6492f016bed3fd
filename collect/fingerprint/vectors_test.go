package fingerprint

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

var update = flag.Bool("update", false, "write the test vectors again")

const vectorDir = "../../testdata/fingerprint"

// vector is what vectors.json says of one message.
type vector struct {
	File         string            `json:"file"`
	About        string            `json:"about"`
	Octets       int64             `json:"octets"`
	Tiers        map[string]string `json:"tiers"`
	MessageID    string            `json:"message_id,omitempty"`
	Fields       []vectorField     `json:"fields,omitempty"`
	Leaves       []vectorLeaf      `json:"leaves,omitempty"`
	LeafCount    int               `json:"leaf_count"`
	BodySeq      string            `json:"body_seq,omitempty"`
	Extra        string            `json:"extra,omitempty"`
	SignedOctets string            `json:"signed_octets,omitempty"`
	DKIM         string            `json:"dkim,omitempty"`
	Anomalies    []string          `json:"anomalies,omitempty"`
	Stub         bool              `json:"stub,omitempty"`
}

type vectorField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Hash  string `json:"hash"`
}

type vectorLeaf struct {
	Type     string `json:"type"`
	FileName string `json:"file_name,omitempty"`
	Size     int64  `json:"size"`
	Octets   string `json:"octets"`
	Content  string `json:"content,omitempty"`
	Visible  string `json:"visible,omitempty"`
	NonASCII int64  `json:"non_ascii,omitempty"`
	Squeezed string `json:"squeezed,omitempty"`
	Letters  string `json:"letters,omitempty"`
	Prefixes string `json:"prefixes,omitempty"`
}

func hexShort(s mailproof.Short) string {
	if s.IsZero() {
		return ""
	}
	return hex.EncodeToString(s[:])
}

func hexMark(m uint32) string {
	if m == 0 {
		return ""
	}
	return fmt.Sprintf("%08x", m)
}

func vectorOf(file, about string, fp *mailproof.Fingerprint) vector {
	d := &fp.Detail
	v := vector{
		File: file, About: about, Octets: fp.Octets, Tiers: make(map[string]string), MessageID: d.MessageID,
		LeafCount: d.LeafCount, BodySeq: hexShort(d.BodySeq), Extra: hexShort(d.Extra), SignedOctets: hexShort(d.SignedOctets),
		DKIM:      map[mailproof.DKIMWitness]string{mailproof.DKIMBodyGood: "good", mailproof.DKIMBodyBad: "bad"}[d.DKIM],
		Anomalies: d.Anomalies.Names(), Stub: d.Stub,
	}
	for _, t := range mailproof.Tiers() {
		if h := fp.Hash(t); !h.IsZero() {
			v.Tiers[t.String()] = h.String()
		}
	}
	for _, f := range d.Fields {
		v.Fields = append(v.Fields, vectorField{f.Name, f.Value, hexShort(f.Hash)})
	}
	for _, l := range d.Leaves {
		v.Leaves = append(v.Leaves, vectorLeaf{
			Type: l.Type, FileName: l.FileName, Size: l.Size, Octets: hexShort(l.Octets), Content: hexShort(l.Content),
			Visible: hexShort(l.Visible), NonASCII: l.NonASCII, Squeezed: hexMark(l.Squeezed), Letters: hexMark(l.Letters),
			Prefixes: hex.EncodeToString([]byte(l.Prefixes)),
		})
	}
	return v
}

// TestVectors compares with the committed files. With -update it writes them:
// then every change in vectors.json is a change of the algorithm.
func TestVectors(t *testing.T) {
	var got []vector
	for _, m := range vectorMessages() {
		path := filepath.Join(vectorDir, m.name+".eml")
		if *update {
			if err := os.WriteFile(path, m.raw, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(raw, m.raw) {
			t.Errorf("%s is not the message that the test makes", path)
		}
		got = append(got, vectorOf(m.name+".eml", m.about, fingerprintOf(t, raw)))
	}
	out, err := json.MarshalIndent(struct {
		Algorithm string   `json:"algorithm"`
		Vectors   []vector `json:"vectors"`
	}{mailproof.FingerprintAlgorithm, got}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	out = append(out, '\n')
	file := filepath.Join(vectorDir, "vectors.json")
	if *update {
		if err := os.WriteFile(file, out, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out, want) {
		a, b := strings.Split(string(out), "\n"), strings.Split(string(want), "\n")
		for i := range a {
			if i >= len(b) || a[i] != b[i] {
				t.Fatalf("vectors.json line %d: %s", i+1, a[i])
			}
		}
		t.Fatal("vectors.json has more lines")
	}
}
