package journal

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, folder string, step int, tables ...string) *Journal {
	t.Helper()
	j, err := Open(folder, step, tables...)
	require.NoError(t, err)
	return j
}

func text(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(b)
}

func TestEveryValueComesBack(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "b")
	values := []float64{0, math.Copysign(0, -1), 0.1, 1.0 / 3, -5e-324, math.MaxFloat64, math.NaN(), math.Inf(1), math.Inf(-1)}
	names := []string{"zero", `a "quoted", name`, " spaces ", "größe", "-", "a/b", "nan", "#", "inf"}
	j := open(t, folder, 5, "train")
	var scalars []Scalar
	for i := range values {
		scalars = append(scalars, Scalar{names[i], values[i]})
	}
	require.NoError(t, j.Add("train", 5, noon.Add(1234567*time.Microsecond), scalars))
	require.NoError(t, j.Add("train", 9, noon, scalars[:1]))
	require.NoError(t, j.Close())

	got, err := Read(filepath.Join(folder, "train.csv"))
	require.NoError(t, err)
	var want []Series
	for _, s := range scalars {
		want = append(want, Series{s.Name, []Point{{5, noon.Add(1234 * time.Millisecond), s.Value}}})
	}
	want[0].Points = append(want[0].Points, Point{9, noon, 0})
	require.Empty(t, cmp.Diff(want, got, cmpopts.EquateNaNs()))
	require.True(t, math.Signbit(got[1].Points[0].Value))

	shown := tensorBoard(t, folder)
	for _, s := range scalars {
		require.Empty(t, cmp.Diff(float64(float32(s.Value)), shown["train/"+s.Name][0].Value, cmpopts.EquateNaNs()), s.Name)
	}
}

func TestColumnsGrow(t *testing.T) {
	folder := t.TempDir()
	j := open(t, folder, 0, "train")
	require.NoError(t, j.Add("train", 0, noon, []Scalar{{"b", 1}}))
	require.NoError(t, j.Add("train", 1, noon, []Scalar{{"a", 2}, {"b", 3}}))
	require.NoError(t, j.Add("train", 2, noon, []Scalar{{"c", 4}, {"a", 5}}))
	require.NoError(t, j.Add("train", 3, noon, nil))
	require.NoError(t, j.Close())
	const at = "2026-11-22T12:00:00.000Z"
	require.Equal(t, "step,time,b,a,c\n0,"+at+",1,,\n1,"+at+",3,2,\n2,"+at+",,5,4\n3,"+at+",,,\n", text(t, folder, "train.csv"))
	series, err := Read(filepath.Join(folder, "train.csv"))
	require.NoError(t, err)
	require.Equal(t, []Series{
		{"b", []Point{{0, noon, 1}, {1, noon, 3}}}, {"a", []Point{{1, noon, 2}, {2, noon, 5}}}, {"c", []Point{{2, noon, 4}}},
	}, series)
}

func TestContinueAtAnyStep(t *testing.T) {
	for step := range 8 {
		folder := t.TempDir()
		j := open(t, folder, 0, "train", "evaluation")
		for i := range 6 {
			require.NoError(t, j.Add("train", i, noon, []Scalar{{"loss", float64(i)}}))
			if i%3 == 2 {
				require.NoError(t, j.Add("evaluation", i, noon, []Scalar{{"AP", float64(i)}}))
			}
		}
		require.NoError(t, j.Close())

		j = open(t, folder, step, "train", "evaluation")
		if step > 0 {
			require.ErrorContains(t, j.Add("train", step-1, noon, nil), fmt.Sprint("a row of step ", step-1))
		}
		require.NoError(t, j.Add("train", step, noon, []Scalar{{"loss", -1}}))
		require.NoError(t, j.Add("evaluation", step+1, noon, []Scalar{{"AP", -1}}))
		require.NoError(t, j.Close())

		want := map[string][]Point{}
		for i := range min(step, 6) {
			want["train/loss"] = append(want["train/loss"], Point{Step: i, Value: float64(i)})
			if i%3 == 2 {
				want["evaluation/AP"] = append(want["evaluation/AP"], Point{Step: i, Value: float64(i)})
			}
		}
		want["train/loss"] = append(want["train/loss"], Point{Step: step, Value: -1})
		want["evaluation/AP"] = append(want["evaluation/AP"], Point{Step: step + 1, Value: -1})
		require.Empty(t, cmp.Diff(want, tensorBoard(t, folder)), "step %d", step)
		for _, name := range []string{"train", "evaluation"} {
			series, err := Read(filepath.Join(folder, name+".csv"))
			require.NoError(t, err)
			require.Len(t, series, 1)
			require.Empty(t, cmp.Diff(want[name+"/"+series[0].Name], series[0].Points, cmpopts.IgnoreFields(Point{}, "Time")), "step %d", step)
		}
	}
}

// A program that is killed may leave any beginning of its last line and event.
func TestTornEnd(t *testing.T) {
	whole := t.TempDir()
	j := open(t, whole, 0, "train")
	var ends []int
	for i := range 3 {
		require.NoError(t, j.Add("train", i, noon, []Scalar{{"loss", float64(i)}}))
		ends = append(ends, len(text(t, whole, "train.csv")))
	}
	require.NoError(t, j.Close())
	table := text(t, whole, "train.csv")
	eventFiles, err := filepath.Glob(filepath.Join(whole, eventsPrefix+"*"))
	require.NoError(t, err)
	require.Len(t, eventFiles, 1)
	events := text(t, eventFiles[0])
	for size := range len(table) + 1 {
		folder := t.TempDir()
		path := filepath.Join(folder, "train.csv")
		require.NoError(t, os.WriteFile(path, []byte(table[:size]), 0o666))
		torn := max(0, len(events)-1-(len(table)-size)) // a torn event beside it
		require.NoError(t, os.WriteFile(filepath.Join(folder, filepath.Base(eventFiles[0])), []byte(events[:torn]), 0o666))
		rows := 0
		for _, end := range ends {
			if size >= end {
				rows++
			}
		}
		count := func() int {
			series, err := Read(path)
			require.NoError(t, err, "%d bytes", size)
			if len(series) == 0 {
				return 0
			}
			return len(series[0].Points)
		}
		require.Equal(t, rows, count(), "%d bytes", size)
		j := open(t, folder, rows, "train")
		require.NoError(t, j.Add("train", rows, noon, []Scalar{{"loss", 9}}))
		require.NoError(t, j.Close())
		require.Equal(t, rows+1, count(), "%d bytes", size)
		require.True(t, strings.HasSuffix(text(t, path), fmt.Sprintf("\n%d,2026-11-22T12:00:00.000Z,9\n", rows)), text(t, path))
		shown := tensorBoard(t, folder)["train/loss"]
		require.Equal(t, Point{Step: rows, Value: 9}, shown[len(shown)-1])
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, tables := range [][]string{{""}, {"a/b"}, {`a\b`}, {"a", "a"}, {"a\n"}} {
		_, err := Open(t.TempDir(), 0, tables...)
		require.ErrorContains(t, err, "cannot be the name of table", "%q", tables)
	}
	_, err := Open(t.TempDir(), -1)
	require.ErrorContains(t, err, "step -1")
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "train.csv"), []byte("name,price\napple,3\n"), 0o666))
	_, err = Open(folder, 0, "train")
	require.ErrorContains(t, err, "train.csv, line 1: not a journal's table")
	require.Equal(t, "name,price\napple,3\n", text(t, folder, "train.csv"), "what is not ours is left alone")
}

func TestAddRefuses(t *testing.T) {
	folder := t.TempDir()
	j := open(t, folder, 0, "train")
	require.NoError(t, j.Add("train", 4, noon, []Scalar{{"loss", 1}}))
	before := text(t, folder, "train.csv")
	for _, c := range []struct {
		table  string
		step   int
		values []Scalar
		want   string
	}{
		{"test", 5, nil, `no table "test": there are ["train"]`},
		{"train", 4, nil, "a row of step 4 where 5 or a later one is due"},
		{"train", 5, []Scalar{{"", 1}}, `step 5: "" is not a name`},
		{"train", 5, []Scalar{{"a\nb", 1}}, `"a\nb" is not a name`},
		{"train", 5, []Scalar{{"\xff", 1}}, `"\xff" is not a name`},
		{"train", 5, []Scalar{{"a", 1}, {"a", 1}}, `"a" is there twice`},
		{"train", 5, []Scalar{{"step", 1}}, `"step" is there twice`},
	} {
		require.ErrorContains(t, j.Add(c.table, c.step, noon, c.values), c.want)
	}
	require.Equal(t, before, text(t, folder, "train.csv"))
	require.NoError(t, j.Close())
	require.Len(t, tensorBoard(t, folder), 1)
}

func TestReadNamesFileAndLine(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"time,step\n", "t.csv, line 1: not a journal's table, whose first columns are step and time"},
		{"step\n", "line 1: not a journal's"},
		{"step,time,a,a\n", `line 1: "a" cannot be the name of a column`},
		{"step,time,a\n0,2026-11-22T12:00:00Z,1\n0,2026-11-22T12:00:00Z,1\n", `line 3: "0" is not a step after 0`},
		{"step,time,a\n-1,2026-11-22T12:00:00Z,1\n", `line 2: "-1" is not a step`},
		{"step,time,a\nx,2026-11-22T12:00:00Z,1\n", `line 2: "x" is not a step`},
		{"step,time,a\n0,noon,1\n", `line 2: "noon" is not a time`},
		{"step,time,a\n0,2026-11-22T12:00:00Z,one\n", `line 2: a: "one" is not a number`},
		{"step,time,a\n0,2026-11-22T12:00:00Z\n", "record on line 2: wrong number of fields"},
		{"step,time,a\n0,\"2026\n", `t.csv: parse error on line 2`},
	} {
		_, err := parse("t.csv", []byte(c.text))
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, err, "journal: t.csv")
	}
	_, err := Read(filepath.Join(t.TempDir(), "none.csv"))
	require.ErrorIs(t, err, os.ErrNotExist)
	series, err := parse("t.csv", []byte("step,time,a"))
	require.NoError(t, err)
	require.Empty(t, series)
}

// Whatever the bytes, reading ends with an error or with series of ascending steps.
func FuzzRead(f *testing.F) {
	f.Add([]byte("step,time,a,b\n0,2026-11-22T12:00:00Z,1,\n7,2026-11-22T12:00:00.5Z,NaN,-inf\n9,20"))
	f.Add([]byte("step,time,\"a,b\"\r\n0,2026-11-22T12:00:00+01:00,0x1p-2\r\n"))
	f.Add([]byte("step,time\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		series, err := parse("fuzz.csv", text)
		if err != nil {
			require.Nil(t, series)
			return
		}
		for _, s := range series {
			for i, p := range s.Points {
				require.True(t, p.Step >= 0 && (i == 0 || p.Step > s.Points[i-1].Step))
			}
		}
	})
}

// A table that an editor saved with a byte order mark goes on behind it.
func TestByteOrderMark(t *testing.T) {
	folder := t.TempDir()
	j := open(t, folder, 0, "train")
	require.NoError(t, j.Add("train", 0, noon, []Scalar{{"loss", 1}}))
	require.NoError(t, j.Add("train", 1, noon, []Scalar{{"loss", 2}}))
	require.NoError(t, j.Close())
	path := filepath.Join(folder, "train.csv")
	require.NoError(t, os.WriteFile(path, []byte("\ufeff"+text(t, path)), 0o666))
	want := text(t, path)
	j = open(t, folder, 1, "train")
	require.NoError(t, j.Add("train", 1, noon, []Scalar{{"loss", 2}}))
	require.NoError(t, j.Close())
	require.Equal(t, want, text(t, path))
}
