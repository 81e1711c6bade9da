package journal

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/internal/regular"
)

const (
	stepColumn, timeColumn = "step", "time"
	timeLayout             = "2006-01-02T15:04:05.000Z07:00" // RFC 3339
)

// maxBytes bounds the tables that are read: a row of ten columns has about 200 bytes.
const maxBytes = 1 << 30

// table writes a CSV file of the columns step, time and names.
type table struct {
	path  string
	names []string
	next  int   // the least step that may come
	file  *file // nil before the first row
	lost  error // the file was replaced and the new one could not be opened
}

// openTable opens what there is of a table, less its rows from step on.
func openTable(path string, step int) (*table, error) {
	t := &table{path: path, next: step}
	text, err := regular.ReadFile(path, maxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return nil, wrap(err)
	}
	p := newParser(path, text)
	keep := int64(0)
	if t.names, err = p.header(); err != nil {
		return nil, err
	}
	if t.names != nil {
		keep = p.offset()
	}
	for {
		at, _, err := p.row()
		if err != nil {
			return nil, err
		}
		if at < 0 || at >= step {
			break
		}
		keep = p.offset()
	}
	if t.file, err = openFile(path, 0); err != nil {
		return nil, err
	}
	if keep < t.file.size {
		// Steps ascend, so that one cut removes the rows and the torn end of a line.
		if err := errors.Join(t.file.truncate(keep), t.file.sync()); err != nil {
			return nil, errors.Join(err, t.file.close())
		}
	}
	return t, nil
}

// extend makes a column for each name that has none.
func (t *table) extend(values []Scalar) error {
	if t.lost != nil {
		return t.lost
	}
	names := slices.Clone(t.names)
	for _, v := range values {
		if !slices.Contains(names, v.Name) {
			names = append(names, v.Name)
		}
	}
	if len(names) == len(t.names) && t.file != nil && t.file.size > 0 {
		return nil
	}
	content := line(append([]string{stepColumn, timeColumn}, names...))
	if t.file != nil && t.file.size > 0 {
		text := make([]byte, t.file.size)
		if _, err := t.file.f.ReadAt(text, 0); err != nil {
			return wrap(err)
		}
		empty := bytes.Repeat([]byte(","), len(names)-len(t.names))
		for row := range bytes.Lines(text[bytes.IndexByte(text, '\n')+1:]) {
			content = append(append(append(content, bytes.TrimRight(row, "\r\n")...), empty...), '\n')
		}
	}
	err := atomicfile.Write(t.path, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
	if err != nil {
		return wrap(err)
	}
	f, err := openFile(t.path, 0)
	if err != nil {
		t.lost = err
		return err
	}
	old := t.file
	t.file, t.names = f, names
	if old != nil {
		return old.close()
	}
	return nil
}

// append writes a row.
func (t *table) append(step int, at time.Time, values []Scalar) error {
	cells := make([]string, 2+len(t.names))
	cells[0], cells[1] = strconv.Itoa(step), at.UTC().Format(timeLayout)
	for _, v := range values {
		cells[2+slices.Index(t.names, v.Name)] = cell(v.Value)
	}
	if err := t.file.append(line(cells)); err != nil {
		return err
	}
	t.next = step + 1
	return nil
}

// cell writes a number so that no bit of it is lost, and what is not finite as
// pandas, R, Go and spreadsheets' imports know it.
func cell(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

func line(cells []string) []byte {
	var out strings.Builder
	w := csv.NewWriter(&out)
	// A strings.Builder takes everything.
	_ = w.Write(cells)
	w.Flush()
	return []byte(out.String())
}

// parser reads the text of a table.
type parser struct {
	path  string
	start int // of the text behind a byte order mark
	csv   *csv.Reader
	last  int // step
}

func newParser(path string, text []byte) *parser {
	// A last line without an end was being written when the program was killed.
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	behind := bytes.TrimPrefix(text, []byte("\ufeff"))
	p := &parser{path, len(text) - len(behind), csv.NewReader(bytes.NewReader(behind)), -1}
	p.csv.ReuseRecord = true
	return p
}

func (p *parser) offset() int64 { return int64(p.start) + p.csv.InputOffset() }

func (p *parser) fail(format string, args ...any) error {
	line, _ := p.csv.FieldPos(0)
	return fmt.Errorf("journal: %s, line %d: %w", p.path, line, fmt.Errorf(format, args...))
}
