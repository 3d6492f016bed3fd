package dnsaudit

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
)

func dnssecBogus(d *dossier) []mailproof.Finding {
	const expected = "resolvers that can validate the zone"
	if len(d.checking) == 0 {
		return one(info, expected, "no resolver is listed, or the zone was not found", "list a validating resolver to have the signatures checked")
	}
	var bogus, silent []string
	for _, v := range d.checking {
		switch {
		case usable(v.checked):
		case v.retried && usable(v.unchecked):
			bogus = append(bogus, v.checked.Server.String()+": SERVFAIL, but NOERROR without validation")
		default:
			silent = append(silent, v.checked.Server.String()+": "+state(v.checked))
		}
	}
	switch {
	case len(bogus) > 0:
		return one(fail, expected, strings.Join(append(bogus, silent...), "; "),
			"sign the zone "+display(d.zone.apex)+" anew, or have the registrar replace or delete its DS record")
	case len(silent) > 0:
		return one(unknown, expected, strings.Join(silent, "; "), askAgain)
	}
	return one(pass, expected, fmt.Sprintf("%d resolvers answer", len(d.checking)), "")
}

// keys returns the DNSKEY records that any server has, and whether every
// server answered.
func (d *dossier) keysView() *View { return d.view(orRoot(d.zone), dns.TypeDNSKEY) }

func dnssecWindow(d *dossier) []mailproof.Finding {
	const expected = "signatures that outlast the cut-over"
	if !d.keysView().exists() {
		return expecting(d.keysView().judge(func(variant) ruling { return ruling{pass, "the zone is not signed", ""} }), expected)
	}
	limit := d.now.Add(72 * time.Hour)
	if after := d.cfg.CutOver.Add(48 * time.Hour); !d.cfg.CutOver.IsZero() && after.After(limit) {
		limit = after
	}
	worst, found := pass, 0
	var lines []string
	for k, v := range d.signed {
		for _, r := range v.Replies {
			if !conclusive(r) {
				lines = union(lines, []string{r.Server.String() + ": " + state(r)})
				if worse(unknown, worst) {
					worst = unknown
				}
				continue
			}
			for _, rr := range r.Answer {
				sig, ok := rr.(*dns.RRSIG)
				if !ok || sig.TypeCovered != k.qtype {
					continue
				}
				found++
				ends := time.Unix(int64(sig.Expiration), 0).UTC()
				if !ends.Before(limit) {
					continue
				}
				outcome, word := warn, "ends"
				if ends.Before(d.now) {
					outcome, word = fail, "ended"
				}
				if worse(outcome, worst) {
					worst = outcome
				}
				lines = union(lines, []string{fmt.Sprintf("%s: the signature of %s %s %s %s", r.Server, display(k.name), typeName(k.qtype), word, ends.Format(time.RFC3339))})
			}
		}
	}
	sort.Strings(lines)
	switch {
	case found == 0 && worst == pass:
		return one(fail, expected, "the zone has keys but no signatures", "sign the zone "+display(d.zone.apex))
	case worst == pass:
		lines = []string{fmt.Sprintf("%d signatures last beyond %s", found, limit.UTC().Format(time.RFC3339))}
	}
	return one(worst, expected, strings.Join(lines, "; "), "sign the zone "+display(d.zone.apex)+" anew before the cut-over")
}

func dnssecDS(d *dossier) []mailproof.Finding {
	const expected = "a DS record that matches a key"
	if d.zoneErr == nil && d.zone.above == nil {
		return one(info, expected, "the parent was not asked", "")
	}
	ds := d.view(orRoot(d.zone), dns.TypeDS)
	keys := d.keysView()
	f := ds.judge(func(x variant) ruling {
		if len(x.records) == 0 {
			text := "no DS record and no key: the zone is not signed"
			if len(keys.variants()) == 0 || len(keys.unasked()) > 0 {
				text = "no DS record: nobody validates"
			}
			if keys.exists() {
				return ruling{info, "the zone has keys but the parent has no DS record: nobody validates", ""}
			}
			return ruling{pass, text, ""}
		}
		return d.matchKeys(keys, x)
	})
	return expecting(f, expected)
}

// matchKeys compares the DS records with the keys of every server.
func (d *dossier) matchKeys(keys *View, ds variant) ruling {
	f := keys.judge(func(x variant) ruling {
		for _, rr := range ds.records {
			want, ok := rr.(*dns.DS)
			if !ok {
				continue
			}
			for _, k := range x.records {
				key, ok := k.(*dns.DNSKEY)
				if !ok {
					continue
				}
				if got := key.ToDS(want.DigestType); got != nil && got.KeyTag == want.KeyTag && strings.EqualFold(got.Digest, want.Digest) {
					return ruling{pass, "DS " + data(want), ""}
				}
			}
		}
		var c change
		c.removeAll(ds.records)
		for _, k := range x.records {
			if key, ok := k.(*dns.DNSKEY); ok && key.Flags&dns.SEP != 0 {
				if right := key.ToDS(dns.SHA256); right != nil {
					c.create(d.zone.apex, dns.TypeDS, data(right))
				}
			}
		}
		return ruling{fail, "no DS record of the parent matches a key of the zone", c.String() + "\n; at the registrar"}
	})
	return ruling{f.Outcome, f.Observed, f.Remedy}
}
