package terminal

import "strings"

// Column is one column of a table.
type Column struct {
	Title string
	Right bool // aligned to the right, as figures are
	// Min is how narrow the column may become where the table does not fit, in
	// columns of the screen; its cells are then cut in the middle. 0 means that
	// it gives way only when nothing else does.
	Min int
}

// Cell is a piece of a row with a style of its own.
type Cell struct {
	Text  string
	Style Style
}

// Table is rows under headings. Cells are foreign text: they are escaped, cut
// where they do not fit, and never wrapped.
type Table struct {
	Columns []Column
	Indent  int  // blanks before each line
	Color   bool // whether styles are shown
	rows    [][]Cell
}

// gap is what stands between two columns.
const gap = 2

// Row adds a row. Cells that are missing are empty; surplus ones are dropped.
func (t *Table) Row(cells ...string) {
	row := make([]Cell, len(cells))
	for i, c := range cells {
		row[i].Text = c
	}
	t.Cells(row...)
}

// Cells adds a row of styled cells.
func (t *Table) Cells(cells ...Cell) {
	row := make([]Cell, len(t.Columns))
	copy(row, cells)
	for i := range row {
		row[i].Text = Escape(row[i].Text)
	}
	t.rows = append(t.rows, row)
}

// Len is the number of rows.
func (t *Table) Len() int { return len(t.rows) }

// Lines formats the table for a screen of the given width. No line is wider,
// and none ends in blanks. There is a line of headings if any column has one.
func (t *Table) Lines(width int) []string {
	if len(t.Columns) == 0 {
		return nil
	}
	titles, titled := make([]Cell, len(t.Columns)), false
	for i, c := range t.Columns {
		titles[i] = Cell{Escape(c.Title), Faint}
		titled = titled || c.Title != ""
	}
	rows := t.rows
	if titled {
		rows = append([][]Cell{titles}, rows...)
	}
	indent := min(t.Indent, max(0, width-1))
	widths := t.fit(rows, width-indent)
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = t.line(row, widths, indent)
	}
	return lines
}

// fit shares out the width. The widest of the columns that may shrink gives
// way first; then the widest of all, down to nothing.
func (t *Table) fit(rows [][]Cell, width int) []int {
	widths := make([]int, len(t.Columns))
	for _, row := range rows {
		for i, c := range row {
			widths[i] = max(widths[i], Width(c.Text))
		}
	}
	shrink := func(floor func(i int) int) {
		for total(widths) > width {
			widest := -1
			for i, w := range widths {
				if w > floor(i) && (widest < 0 || w > widths[widest]) {
					widest = i
				}
			}
			if widest < 0 {
				return
			}
			widths[widest]--
		}
	}
	shrink(func(i int) int {
		if t.Columns[i].Min == 0 {
			return widths[i]
		}
		return t.Columns[i].Min
	})
	shrink(func(i int) int {
		if t.Columns[i].Right {
			return widths[i] // half a figure is a wrong one
		}
		return 1
	})
	shrink(func(int) int { return 0 })
	return widths
}

// total is the width of a row. A column that was squeezed out takes no gap.
func total(widths []int) int {
	sum, columns := 0, 0
	for _, w := range widths {
		if w > 0 {
			sum += w
			columns++
		}
	}
	return sum + gap*max(0, columns-1)
}

func (t *Table) line(row []Cell, widths []int, indent int) string {
	var b strings.Builder
	blanks := indent // written only if something follows
	for i, c := range row {
		if widths[i] == 0 {
			continue
		}
		text := Middle(c.Text, widths[i])
		fill := widths[i] - Width(text)
		if t.Columns[i].Right {
			blanks += fill
			fill = 0
		}
		if strings.TrimSpace(text) != "" {
			b.WriteString(strings.Repeat(" ", blanks))
			b.WriteString(Paint(text, c.Style, t.Color))
			blanks = 0
		} else {
			blanks += Width(text)
		}
		blanks += fill + gap
	}
	return strings.TrimRight(b.String(), " ")
}
