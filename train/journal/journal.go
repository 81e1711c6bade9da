package journal

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Scalar is a number with a name, such as loss_ce. It may be NaN or infinite.
type Scalar struct {
	Name  string
	Value float64
}

// A Journal is open for writing. One goroutine at a time may use it, and one program
// its folder.
type Journal struct {
	tables map[string]*table
	events *file
}

// Open starts or continues the journal of a folder, which need not exist, with tables of
// the names given: table train is the file train.csv. Rows of the tables of this step
// and later are dropped, each table's at once. TensorBoard drops its points of these
// steps when it comes to the new event file, which Open begins.
//
// A run that numbers its steps from 0 continues at the number of steps done; one that
// writes after n steps with step n continues at n+1.
func Open(folder string, step int, tables ...string) (*Journal, error) {
	if step < 0 {
		return nil, fmt.Errorf("journal: cannot continue at step %d", step)
	}
	for i, name := range tables {
		if name == "" || strings.ContainsAny(name, `/\`) || checkName(name) != nil || slices.Contains(tables[:i], name) {
			return nil, fmt.Errorf("journal: %q cannot be the name of table %d", name, i)
		}
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, wrap(err)
	}
	j := &Journal{tables: map[string]*table{}}
	for _, name := range tables {
		t, err := openTable(filepath.Join(folder, name+".csv"), step)
		if err != nil {
			return nil, errors.Join(err, j.close())
		}
		j.tables[name] = t
	}
	var err error
	if j.events, err = openEvents(folder, step, time.Now()); err != nil {
		return nil, errors.Join(err, j.close())
	}
	return j, nil
}

// Add writes a row, whose step must be greater than that of the row before and not less
// than Open's. A name the table does not have yet becomes a new last column; names
// that are left out have an empty cell. If it cannot be written, such as for lack of
// space, nothing of the row stays, and the journal can be used further.
func (j *Journal) Add(table string, step int, at time.Time, values []Scalar) error {
	if j == nil {
		return errors.New("journal: the Journal is nil")
	}
	t := j.tables[table]
	if t == nil {
		return fmt.Errorf("journal: no table %q: there are %q", table, slices.Sorted(maps.Keys(j.tables)))
	}
	if step < t.next {
		return fmt.Errorf("journal: %s: a row of step %d where %d or a later one is due", t.path, step, t.next)
	}
	if err := checkValues(values); err != nil {
		return fmt.Errorf("journal: %s, step %d: %w", t.path, step, err)
	}
	if err := t.extend(values); err != nil {
		return err
	}
	before := j.events.size
	if err := j.events.append(record(summary(step, at, table, values))); err != nil {
		return err
	}
	if err := t.append(step, at, values); err != nil {
		return errors.Join(err, j.events.truncate(before))
	}
	return nil
}

// checkValues refuses names that would break a table.
func checkValues(values []Scalar) error {
	seen := map[string]bool{stepColumn: true, timeColumn: true}
	for _, v := range values {
		if err := checkName(v.Name); err != nil {
			return err
		}
		if seen[v.Name] {
			return fmt.Errorf("%q is there twice", v.Name)
		}
		seen[v.Name] = true
	}
	return nil
}

func checkName(name string) error {
	// TensorBoard wants UTF-8, and a row of a table is a line.
	if name == "" || strings.ToValidUTF8(name, "") != name || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }) {
		return fmt.Errorf("%q is not a name", name)
	}
	return nil
}

// Sync waits until everything added is on the disk. It must precede a checkpoint.
func (j *Journal) Sync() error {
	return j.each((*file).sync)
}

// Close syncs and closes the journal's files.
func (j *Journal) Close() error {
	return errors.Join(j.Sync(), j.close())
}

func (j *Journal) close() error {
	return j.each((*file).close)
}

func (j *Journal) each(do func(*file) error) error {
	if j == nil {
		return nil
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(j.tables)) {
		if f := j.tables[name].file; f != nil {
			errs = append(errs, do(f))
		}
	}
	if j.events != nil {
		errs = append(errs, do(j.events))
	}
	return errors.Join(errs...)
}
