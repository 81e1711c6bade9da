package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/regular"
)

// A shard is one of several parts of a list of pictures that machines segment on their own.
type shard struct{ index, of int }

// parseShard reads I/N, with I from 0 to N-1, or "auto": what Kubernetes (an indexed Job) or
// Slurm (an array) has put into the environment.
func parseShard(text string, getenv func(string) string) (shard, error) {
	if text == "auto" {
		return shardOfEnvironment(getenv)
	}
	left, right, ok := strings.Cut(text, "/")
	i, err1 := strconv.Atoi(left)
	n, err2 := strconv.Atoi(right)
	if !ok || err1 != nil || err2 != nil || n < 1 || i < 0 || i >= n {
		return shard{}, fmt.Errorf("--shard %s: not I/N with I from 0 to N-1 (0/4 is the first of four), nor auto", text)
	}
	return shard{i, n}, nil
}

func shardOfEnvironment(getenv func(string) string) (shard, error) {
	number := func(name string, or int) (int, error) {
		text := getenv(name)
		if text == "" && or >= 0 {
			return or, nil
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("--shard auto: $%s is %q, not a number", name, text)
		}
		return n, nil
	}
	switch {
	case getenv("JOB_COMPLETION_INDEX") != "":
		i, err := number("JOB_COMPLETION_INDEX", -1)
		if err != nil {
			return shard{}, err
		}
		n, err := number("JOB_COMPLETION_COUNT", -1)
		if err != nil {
			return shard{}, fmt.Errorf("%w: Kubernetes does not set it, so let the Job's template set it to its completions", err)
		}
		if i >= n {
			return shard{}, fmt.Errorf("--shard auto: $JOB_COMPLETION_INDEX is %d of $JOB_COMPLETION_COUNT %d", i, n)
		}
		return shard{i, n}, nil
	case getenv("SLURM_ARRAY_TASK_ID") != "":
		var v [5]int
		for i, name := range []string{"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_STEP"} {
			or := -1
			if i == 4 {
				or = 1
			}
			var err error
			if v[i], err = number(name, or); err != nil {
				return shard{}, err
			}
		}
		id, low, high, count, step := v[0], v[1], v[2], v[3], v[4]
		if low > 1 {
			return shard{}, fmt.Errorf("--shard auto: the Slurm array begins with task %d, so that nobody knows how many parts there are: use --array=0-N, or --shard I/N to segment one part again", low)
		}
		if step < 1 || id < low || id > high || (id-low)%step != 0 || (high-low)/step+1 != count {
			return shard{}, fmt.Errorf("--shard auto: the Slurm array %d-%d:%d of %d tasks has gaps, so that nobody knows which part task %d is: use --array=0-N or --shard I/N",
				low, high, step, count, id)
		}
		return shard{(id - low) / step, count}, nil
	}
	return shard{}, fmt.Errorf("--shard auto: neither $JOB_COMPLETION_INDEX (Kubernetes) nor $SLURM_ARRAY_TASK_ID (Slurm) is set")
}

// bounds returns which of n pictures belong to the shard: those from first to before last.
// Shards differ by at most one picture.
func (s shard) bounds(n int) (first, last int) {
	return int(int64(s.index) * int64(n) / int64(s.of)), int(int64(s.index+1) * int64(n) / int64(s.of))
}

func (s shard) String() string { return fmt.Sprintf("%d/%d", s.index, s.of) }

// partialEnding ends the name of a shard's folder until all of it is there.
const partialEnding = ".partial"

// folder returns the name of the shard's folder in --output.
func (s shard) folder() string { return fmt.Sprintf("shard-%05d-of-%05d", s.index, s.of) }

var shardFolderName = regexp.MustCompile(`^shard-(\d{5,9})-of-(\d{5,9})(\` + partialEnding + `)?$`)

// parseShardFolder reads what folder returns, and whether partialEnding follows it.
func parseShardFolder(name string) (index, of int, partial, ok bool) {
	parts := shardFolderName.FindStringSubmatch(name)
	if parts == nil {
		return 0, 0, false, false
	}
	index, _ = strconv.Atoi(parts[1]) // at most nine digits
	of, _ = strconv.Atoi(parts[2])
	return index, of, parts[3] != "", true
}

// readShard reads what a finished shard's folder says of it.
func readShard(folder string) (info shardInfo, err error) {
	path := filepath.Join(folder, shardName)
	text, err := regular.ReadFile(path, 1<<30)
	if err == nil {
		err = json.Unmarshal(text, &info)
	}
	if err != nil {
		return info, fmt.Errorf("%s: %w", path, err)
	}
	return info, nil
}

// shardName is the file that says what a shard is.
const shardName = "shard.json"

// A shardInfo says what a finished shard is a part of, and which of its pictures could not be
// segmented.
type shardInfo struct {
	Shard    int               `json:"shard"`
	Of       int               `json:"of"`
	First    int               `json:"first"`    // number of its first picture among all, from 1; also that picture's image_id
	Count    int               `json:"count"`    // of its pictures
	Pictures int               `json:"pictures"` // of all shards
	List     string            `json:"list"`     // of listSum
	Settings map[string]string `json:"settings"` // of the run, formats included
	Flags    map[string]string `json:"flags"`    // those of segmentFlags before the model was loaded, the list and the formats
	Program  string            `json:"program"`  // its version, and LibTorch's
	Formats  []string          `json:"formats"`
	Polygons bool              `json:"polygons"`
	Classes  []coco.Category   `json:"classes"`
	Failed   []failedPicture   `json:"failed"`
}

// A failedPicture is a picture that could not be segmented.
type failedPicture struct {
	ImageID  int64  `json:"image_id"`
	FileName string `json:"file_name"`
	Path     string `json:"path"`
	Error    string `json:"error"`
}
