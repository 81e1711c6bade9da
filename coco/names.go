package coco

import "fmt"

// CheckNames returns an error if a name of a list of classes is empty or there twice, so that it cannot tell
// them apart. It counts them from 0.
func CheckNames(names []string) error {
	first := make(map[string]int, len(names))
	for i, name := range names {
		if name == "" {
			return fmt.Errorf("coco: class %d has no name", i)
		}
		if other, twice := first[name]; twice {
			return fmt.Errorf("coco: classes %d and %d are both called %q", other, i, name)
		}
		first[name] = i
	}
	return nil
}
