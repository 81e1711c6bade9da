package detectron2

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/diffusioninst/go/internal/regular"
)

// maxBases bounds how many files one config may be made of.
const maxBases = 16

const baseKey = "_BASE_"

// Load reads the config file at path and its base files.
//
// An error is an [*Error] that lists every problem with file and line. Warnings name
// settings without effect, of parts that DiffusionInst does not have.
func Load(path string) (*Config, []Warning, error) {
	l := &loader{read: func(path string) ([]byte, error) { return regular.ReadFile(path, maxBytes) }, open: map[string]bool{}}
	tree, err := l.load(path)
	if err != nil {
		return nil, nil, err
	}
	return build(tree, l.warnings)
}

// Defaults returns the defaults of Detectron2 and of the project, without any file. They
// do not describe a DiffusionInst model, since Detectron2's default architecture is
// another.
func Defaults() *Config {
	c := &Config{}
	fill(c, newSection())
	return c
}

// build returns the typed and checked config.
func build(tree *section, warnings []Warning) (*Config, []Warning, error) {
	k := &keyCheck{tree: tree, warnings: warnings}
	k.walk(tree, defaults(), configType, "")
	c := &Config{}
	problems := append(k.problems, fill(c, tree)...)
	if len(problems) == 0 {
		problems = check(c, tree)
	}
	if len(problems) > 0 {
		return nil, k.warnings, &Error{Problems: problems}
	}
	return c, append(k.warnings, doubts(c, tree)...), nil
}

type loader struct {
	read     func(path string) ([]byte, error)
	open     map[string]bool // the chain of files from the first one to the current
	files    int
	warnings []Warning
}

// load returns the settings of the file at path merged over its bases'.
func (l *loader) load(path string) (*section, error) {
	text, err := l.read(path)
	if err != nil {
		return nil, &Error{Problems: []Problem{{File: path, Message: "cannot be read: " + cause(err).Error()}}, Err: err}
	}
	own, warnings, err := parse(path, text)
	if err != nil {
		return nil, err
	}
	l.warnings = append(l.warnings, warnings...)
	bases, err := basesOf(own, path)
	if err != nil {
		return nil, err
	}
	l.open[path] = true
	defer delete(l.open, path)
	tree := newSection()
	for _, base := range bases {
		l.files++
		at := own.values[baseKey]
		switch {
		case l.open[base]:
			return nil, failure(path, at.line, "%s leads back to %s", baseKey, base)
		case l.files > maxBases:
			return nil, failure(path, at.line, "%s chain of more than %d files", baseKey, maxBases)
		}
		below, err := l.load(base)
		if err != nil {
			return nil, err
		}
		if problems := below.merge(tree, ""); len(problems) > 0 {
			return nil, &Error{Problems: problems}
		}
	}
	own.remove(baseKey)
	if problems := own.merge(tree, ""); len(problems) > 0 {
		return nil, &Error{Problems: problems}
	}
	return tree, nil
}

// basesOf returns the base files of s, in the order in which they merge.
func basesOf(s *section, path string) ([]string, error) {
	v := s.values[baseKey]
	if v == nil {
		return nil, nil
	}
	items := []*value{v}
	if list, ok := v.data.([]*value); ok {
		items = list
	}
	var out []string
	for _, item := range items {
		name, ok := item.data.(string)
		switch {
		case !ok || name == "":
			return nil, failure(path, v.line, "%s wants a file name, got %s", baseKey, item)
		case strings.Contains(name, "://"):
			return nil, failure(path, v.line, "%s %q: only local files are read; download it and name the copy", baseKey, name)
		case strings.HasPrefix(name, "~/"):
			home, err := os.UserHomeDir()
			if err != nil {
				return nil, failure(path, v.line, "%s %q: %v", baseKey, name, err)
			}
			name = filepath.Join(home, name[2:])
		case !filepath.IsAbs(name):
			name = filepath.Join(filepath.Dir(path), name)
		}
		out = append(out, filepath.Clean(name))
	}
	return out, nil
}

// cause strips the path, which Problem names already.
func cause(err error) error {
	if p, ok := err.(*os.PathError); ok {
		return p.Err
	}
	return err
}
