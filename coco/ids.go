package coco

// idSet is a set of ids. Those from 1 on without a gap take no memory.
type idSet struct {
	dense  int64 // the last of those without a gap
	others map[int64]struct{}
	max    int64 // no id of the set, nor one that is to come, is greater
}

func (s *idSet) has(id int64) bool {
	_, ok := s.others[id]
	return ok || id >= 1 && id <= s.dense
}

func (s *idSet) add(id int64) {
	s.max = max(s.max, id)
	if id != s.dense+1 {
		if s.others == nil {
			s.others = map[int64]struct{}{}
		}
		s.others[id] = struct{}{}
		return
	}
	for s.dense++; len(s.others) > 0; s.dense++ {
		if _, ok := s.others[s.dense+1]; !ok {
			return
		}
		delete(s.others, s.dense+1)
	}
}

// fresh returns an id that is free and above those that are to come.
func (s *idSet) fresh() int64 {
	id := s.max + 1
	for s.has(id) {
		id++
	}
	return id
}
