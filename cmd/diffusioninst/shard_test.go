package main

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseShard(t *testing.T) {
	slurm := func(id, low, high, count, step string) map[string]string {
		return map[string]string{"SLURM_ARRAY_TASK_ID": id, "SLURM_ARRAY_TASK_MIN": low, "SLURM_ARRAY_TASK_MAX": high, "SLURM_ARRAY_TASK_COUNT": count, "SLURM_ARRAY_TASK_STEP": step}
	}
	for _, test := range []struct {
		text string
		env  map[string]string
		want string // or what the error says
	}{
		{"0/1", nil, "0/1"},
		{"3/4", nil, "3/4"},
		{"4/4", nil, "from 0 to N-1"},
		{"-1/4", nil, "from 0 to N-1"},
		{"1", nil, "from 0 to N-1"},
		{"1/0", nil, "from 0 to N-1"},
		{"a/b", nil, "from 0 to N-1"},
		{"1/2/3", nil, "from 0 to N-1"},
		{"99999999999999999999/3", nil, "from 0 to N-1"},
		{"auto", nil, "neither $JOB_COMPLETION_INDEX"},
		{"auto", map[string]string{"JOB_COMPLETION_INDEX": "2", "JOB_COMPLETION_COUNT": "5"}, "2/5"},
		{"auto", map[string]string{"JOB_COMPLETION_INDEX": "2"}, "Kubernetes does not set it"},
		{"auto", map[string]string{"JOB_COMPLETION_INDEX": "5", "JOB_COMPLETION_COUNT": "5"}, "is 5 of $JOB_COMPLETION_COUNT 5"},
		{"auto", map[string]string{"JOB_COMPLETION_INDEX": "x", "JOB_COMPLETION_COUNT": "5"}, `$JOB_COMPLETION_INDEX is "x"`},
		{"auto", slurm("0", "0", "9", "10", "1"), "0/10"},
		{"auto", slurm("10", "1", "10", "10", ""), "9/10"},
		{"auto", slurm("8", "0", "10", "6", "2"), "4/6"},
		{"auto", slurm("7", "1", "7", "3", "1"), "has gaps"},
		{"auto", slurm("3", "3", "3", "1", "1"), "begins with task 3"},
		{"auto", slurm("5", "4", "7", "4", "1"), "begins with task 4"},
		{"auto", slurm("3", "0", "10", "6", "2"), "has gaps"},
		{"auto", slurm("1", "0", "10", "6", "0"), "has gaps"},
		{"auto", map[string]string{"SLURM_ARRAY_TASK_ID": "3"}, `$SLURM_ARRAY_TASK_MIN is ""`},
	} {
		s, err := parseShard(test.text, func(name string) string { return test.env[name] })
		if err != nil {
			require.ErrorContains(t, err, test.want)
			continue
		}
		require.Equal(t, test.want, s.String(), "%v", test)
	}
}

// Each picture is in one shard, and shards differ by at most one picture.
func TestShardBounds(t *testing.T) {
	for _, n := range []int{0, 1, 7, 100, 1 << 40} {
		for _, of := range []int{1, 2, 3, 7, 101} {
			at := 0
			for i := range of {
				first, last := shard{i, of}.bounds(n)
				require.Equal(t, at, first)
				require.Contains(t, []int{n / of, n/of + 1}, last-first)
				at = last
			}
			require.Equal(t, n, at)
		}
	}
}

// Summaries are merged byte for byte, without pictures that failed.
func TestMergeSummaries(t *testing.T) {
	dir := t.TempDir()
	var shards []*shardFolder
	for i, text := range []string{"picture,count\na.png,1\n\"b,\n\"\"c.png\",2\n", "picture,count\n\"d,\ne.png\",3\n f.png ,4\n"} {
		s := &shardFolder{path: filepath.Join(dir, strconv.Itoa(i))}
		require.NoError(t, os.MkdirAll(filepath.Join(s.path, "measurements"), 0o777))
		require.NoError(t, os.WriteFile(filepath.Join(s.path, "measurements", summaryName), []byte(text), 0o666))
		shards = append(shards, s)
	}
	merged := func() string {
		path := filepath.Join(dir, "out", summaryName)
		require.NoError(t, mergeSummaries(t.Context(), shards, path))
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(text)
	}
	require.Equal(t, "picture,count\na.png,1\n\"b,\n\"\"c.png\",2\n\"d,\ne.png\",3\n f.png ,4\n", merged())
	shards[0].Failed = []failedPicture{{FileName: "a.png"}, {FileName: "picture"}}
	shards[1].Failed = []failedPicture{{FileName: "d,\ne.png"}}
	require.Equal(t, "picture,count\n\"b,\n\"\"c.png\",2\n f.png ,4\n", merged())
	require.NoError(t, os.WriteFile(filepath.Join(shards[1].path, "measurements", summaryName), []byte("a\n\"b\n"), 0o666))
	require.ErrorContains(t, mergeSummaries(t.Context(), shards, filepath.Join(dir, "out", summaryName)), shards[1].path)
}

// What lies in a folder is merged only if it is all of one run.
func TestMergeRefuses(t *testing.T) {
	dir := t.TempDir()
	put := func(index, of int, info string) {
		folder := filepath.Join(dir, shard{index, of}.folder())
		require.NoError(t, os.MkdirAll(folder, 0o777))
		require.NoError(t, os.WriteFile(filepath.Join(folder, shardName), []byte(info), 0o666))
	}
	refused := func(say string) {
		t.Helper()
		_, err := program(t, "results", "merge", dir)
		require.ErrorContains(t, err, say)
	}
	info := func(index, first, count int, more string) string {
		return `{"shard":` + strconv.Itoa(index) + `,"of":2,"first":` + strconv.Itoa(first) + `,"count":` + strconv.Itoa(count) + `,"pictures":3,"list":"a","formats":["results"],"settings":{"seed":"1"}` + more + `}`
	}
	refused("holds no shards, such as shard-00000-of-00002")
	put(0, 2, info(0, 1, 2, ""))
	refused("1 of 2 shards are not finished: 1; segment --shard I/2 finishes shard I")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, shard{1, 2}.folder()+partialEnding), 0o777))
	refused("not finished: 1 (begun)")
	put(1, 2, "{")
	refused(shardName)
	put(1, 2, info(1, 3, 1, `,"list":"b"`))
	refused("another list of pictures")
	put(1, 2, info(1, 2, 1, ""))
	refused("another list of pictures")
	put(1, 2, info(1, 3, 0, ""))
	refused("hold 2 of 3 pictures")
	put(1, 2, info(1, 3, 1, `,"settings":{"seed":"2"}`))
	refused("other settings, seed (2, now 1)")
	put(1, 2, info(1, 3, 1, ""))
	refused(segmentJournalName)
	for i := range 2 {
		journal := filepath.Join(dir, shard{i, 2}.folder(), segmentJournalName)
		require.NoError(t, os.WriteFile(journal, []byte("{\"settings\":{}}\n"), 0o666))
	}
	refused("lacks picture 1")
	require.NoFileExists(t, filepath.Join(dir, "results.json"))
	put(0, 3, "")
	refused("holds shards of")
}
