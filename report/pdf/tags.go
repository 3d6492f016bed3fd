package pdf

import (
	"fmt"
	"strings"
)

// Role is the standard structure type of a part of the document (ISO 32000-1
// §14.8.4): what a reader who does not see is told that it is.
type Role string

// The roles that are used. Those of the first group hold other elements and no
// text of their own.
const (
	Document  Role = "Document"
	Part      Role = "Sect"
	List      Role = "L"
	ListItem  Role = "LI"
	Contents  Role = "TOC"
	TableRole Role = "Table"
	TableHead Role = "THead"
	TableBody Role = "TBody"
	TableRow  Role = "TR"

	Heading1   Role = "H1"
	Heading2   Role = "H2"
	Heading3   Role = "H3"
	Paragraph  Role = "P"
	Caption    Role = "Caption"
	Label      Role = "Lbl"
	ItemBody   Role = "LBody"
	Entry      Role = "TOCI"
	HeadCell   Role = "TH"
	DataCell   Role = "TD"
	Picture    Role = "Figure"
	Reference  Role = "Link"
	CodeText   Role = "Code"
	ClauseText Role = "Span"
)

// holds reports whether a role is a container, in which text stands only
// inside of a further element.
func (r Role) holds() bool {
	switch r {
	case Document, Part, List, ListItem, Contents, TableRole, TableHead, TableBody, TableRow:
		return true
	}
	return false
}

// element is a node of the structure tree.
type element struct {
	role   Role
	alt    string // words for a picture
	scope  string // of a head cell: Column or Row
	span   int    // columns that a cell covers, where more than one
	parent *element
	kids   []kid
	number int // of the object, when written
	box    [4]float64
	hasBox bool
	onPage int // of the first content
}

// kid is a part of an element: another element, marked content of a page, or
// an annotation.
type kid struct {
	element    *element
	page, mcid int
	annotation int // index among the page's annotations, from 1; 0: none
}

// tags is the structure tree in the making, and what is being marked on the
// page at hand.
type tags struct {
	root      *element
	now       *element
	artifacts int      // depth of Artifact
	marking   *element // whose content is open on the page
	aside     bool     // an artifact is open on the page
	marks     map[int][]*element
	links     map[int][]*element // of each page, the element of each link, in order; nil: none
}

func newTags() tags {
	root := &element{role: Document}
	return tags{root: root, now: root, marks: map[int][]*element{}, links: map[int][]*element{}}
}

// Open begins an element of the structure; what is drawn until Close belongs
// to it.
func (s *Sheet) Open(role Role) { s.open(&element{role: role}) }

// OpenPicture begins a picture, with the words that stand for it.
func (s *Sheet) OpenPicture(alt string, x, y, w, h float64) {
	e := &element{role: Picture, alt: plain(alt), hasBox: true}
	e.box = [4]float64{x * pointsPerMillimetre, (PageHeight - y - h) * pointsPerMillimetre, (x + w) * pointsPerMillimetre, (PageHeight - y) * pointsPerMillimetre}
	s.open(e)
}

// OpenCell begins a cell of a table; scope is Column or Row for a head.
func (s *Sheet) OpenCell(scope string, span int) {
	e := &element{role: DataCell, scope: scope, span: span}
	if scope != "" {
		e.role = HeadCell
	}
	s.open(e)
}

func (s *Sheet) open(e *element) {
	e.parent = s.tags.now
	if s.tags.artifacts == 0 {
		s.tags.now.kids = append(s.tags.now.kids, kid{element: e})
	}
	s.tags.now = e
}

// Close ends the element that was opened last.
func (s *Sheet) Close() {
	if s.tags.now.parent == nil {
		if s.err == nil {
			s.err = fmt.Errorf("pdf: an element is closed that was not opened")
		}
		return
	}
	s.tags.now = s.tags.now.parent
}

// Artifact draws what is no part of the text: running feet, repeated heads.
func (s *Sheet) Artifact(draw func()) {
	s.tags.artifacts++
	draw()
	s.tags.artifacts--
}

// unmark ends the marked content that is open on the page.
func (s *Sheet) unmark() {
	if s.tags.marking != nil || s.tags.aside {
		s.f.RawWriteStr("EMC")
	}
	s.tags.marking, s.tags.aside = nil, false
}

// markAside marks what follows as no part of the text.
func (s *Sheet) markAside() {
	if s.tags.aside {
		return
	}
	s.unmark()
	s.f.RawWriteStr("/Artifact BMC")
	s.tags.aside = true
}

// markDrawing marks lines and areas: they are part of a picture, and else of
// nothing.
func (s *Sheet) markDrawing() {
	if s.tags.artifacts == 0 && s.tags.now.role == Picture {
		s.markElement(s.tags.now)
		return
	}
	s.markAside()
}

// markText marks text as that of the element at hand.
func (s *Sheet) markText() {
	switch e := s.tags.now; {
	case s.tags.artifacts > 0:
		s.markAside()
	case e.role.holds():
		s.Open(Paragraph)
		s.markElement(s.tags.now)
		s.Close()
	default:
		s.markElement(e)
	}
}

func (s *Sheet) markElement(e *element) {
	if s.tags.marking == e {
		return
	}
	s.unmark()
	page := s.f.PageNo()
	id := len(s.tags.marks[page])
	s.tags.marks[page] = append(s.tags.marks[page], e)
	e.kids = append(e.kids, kid{page: page, mcid: id})
	if e.onPage == 0 {
		e.onPage = page
	}
	s.f.RawWriteStr(fmt.Sprintf("/%s <</MCID %d>> BDC", e.role, id))
	s.tags.marking = e
}

// noteLink remembers to which element an annotation belongs.
func (s *Sheet) noteLink() {
	page := s.f.PageNo()
	var of *element
	if s.tags.now.role == Reference && s.tags.artifacts == 0 {
		of = s.tags.now
		of.kids = append(of.kids, kid{page: page, annotation: len(s.tags.links[page]) + 1})
	}
	s.tags.links[page] = append(s.tags.links[page], of)
}

// prune removes elements without content: an empty cell stays, as the row
// counts on it.
func (e *element) prune() bool {
	kept := e.kids[:0]
	for _, k := range e.kids {
		if k.element == nil || k.element.prune() {
			kept = append(kept, k)
		}
	}
	e.kids = kept
	return len(e.kids) > 0 || e.role == DataCell || e.role == HeadCell || e.parent == nil
}

// write gives the element and all below it a number and an object.
func (e *element) write(f *file, parent int, annotations map[[2]int]int) int {
	e.number = f.reserve()
	var kids strings.Builder
	for _, k := range e.kids {
		switch {
		case k.element != nil:
			fmt.Fprintf(&kids, " %d 0 R", k.element.write(f, e.number, annotations))
		case k.annotation > 0:
			fmt.Fprintf(&kids, " <</Type /OBJR /Obj %d 0 R /Pg %d 0 R>>", annotations[[2]int{k.page, k.annotation - 1}], pageObject(k.page))
		case k.page == e.onPage:
			fmt.Fprintf(&kids, " %d", k.mcid)
		default:
			fmt.Fprintf(&kids, " <</Type /MCR /Pg %d 0 R /MCID %d>>", pageObject(k.page), k.mcid)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<</S /%s /P %d 0 R", e.role, parent)
	if e.onPage > 0 {
		fmt.Fprintf(&b, " /Pg %d 0 R", pageObject(e.onPage))
	}
	if e.alt != "" {
		b.WriteString(" /Alt " + textString(e.alt))
	}
	b.WriteString(e.attributes())
	if kids.Len() > 0 {
		fmt.Fprintf(&b, " /K [%s]", kids.String()[1:])
	}
	b.WriteString(">>")
	f.set(e.number, b.String())
	return e.number
}

func (e *element) attributes() string {
	var b strings.Builder
	if e.scope != "" || e.span > 1 {
		b.WriteString(" /A <</O /Table")
		if e.scope != "" {
			b.WriteString(" /Scope /" + e.scope)
		}
		if e.span > 1 {
			fmt.Fprintf(&b, " /ColSpan %d", e.span)
		}
		b.WriteString(">>")
	}
	if e.hasBox {
		fmt.Fprintf(&b, " /A <</O /Layout /BBox [%.2f %.2f %.2f %.2f] /Placement /Block>>", e.box[0], e.box[1], e.box[2], e.box[3])
	}
	return b.String()
}

// writeTags writes the structure tree with its parent tree, and returns the
// number of its root.
func (s *Sheet) writeTags(f *file, annotations map[[2]int]int, pages int) int {
	s.tags.root.prune()
	root := f.reserve()
	document := s.tags.root.write(f, root, annotations)
	var numbers strings.Builder
	for page := 1; page <= pages; page++ {
		fmt.Fprintf(&numbers, " %d [", page-1)
		for _, e := range s.tags.marks[page] {
			fmt.Fprintf(&numbers, " %d 0 R", e.number)
		}
		numbers.WriteString(" ]")
	}
	next := pages
	for page := 1; page <= pages; page++ {
		for _, e := range s.tags.links[page] {
			if e != nil {
				fmt.Fprintf(&numbers, " %d %d 0 R", next, e.number)
			}
			next++
		}
	}
	tree := f.add("<</Nums [" + numbers.String() + " ]>>")
	f.set(root, fmt.Sprintf("<</Type /StructTreeRoot /K [%d 0 R] /ParentTree %d 0 R /ParentTreeNextKey %d>>", document, tree, next))
	return root
}
