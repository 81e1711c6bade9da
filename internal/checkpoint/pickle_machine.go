package checkpoint

import (
	"encoding/binary"
	"math"
)

// Limits of the pickle machine. They are far above what checkpoints of thousands
// of tensors need.
const (
	maxProtocol = 5
	maxShort    = 1024    // longer strings stay in the file
	maxStack    = 1 << 20 // values
	maxMarks    = 1 << 16
	maxMemory   = 1 << 30 // estimated bytes of all values
)

// machine executes one pickle. It is the data part of Python's pickle machine: the only
// calls are calls of the classes in allowed. Any other class is a name without a meaning,
// and what a pickle makes with it is an object that nothing but its content is known of.
type machine struct {
	in      *pickleInput
	stack   []any
	marks   []int
	memo    map[uint32]any
	persist func(id any) (any, error) // resolves PyTorch's storages; nil where there are none
	memory  int64                     // estimated bytes that may still be used
	unknown map[string]*class         // names outside allowed

	latin1Texts map[int64]*latin1Text // long bytes written as text, by position
	nested      bool                  // it reads a pickle inside a pickle
	calls       int                   // that are running
}

// newMachine returns a machine for pickles from in, which may use memory
// in proportion to the bytes there.
func newMachine(in *pickleInput, persist func(id any) (any, error)) *machine {
	return &machine{
		in:      in,
		persist: persist,
		unknown: map[string]*class{},
		memory:  min(1<<20+128*min(in.end-in.pos, maxMemory), maxMemory),
	}
}

// charge accounts for n bytes of memory.
func (m *machine) charge(n int) error {
	m.memory -= int64(n)
	if m.memory < 0 {
		return corrupt("a pickle asks for more memory than its size allows")
	}
	return nil
}

func (m *machine) push(v any) error {
	if len(m.stack) >= maxStack {
		return corrupt("a pickle has more than %d values on its stack", maxStack)
	}
	m.stack = append(m.stack, v)
	return m.charge(16)
}

// floor is the height below which the values belong to an outer mark.
func (m *machine) floor() int {
	if len(m.marks) == 0 {
		return 0
	}
	return m.marks[len(m.marks)-1]
}

func (m *machine) pop() (any, error) {
	n := len(m.stack) - 1
	if n < m.floor() {
		return nil, corrupt("a pickle takes a value from an empty stack")
	}
	v := m.stack[n]
	m.stack[n] = nil
	m.stack = m.stack[:n]
	return v, nil
}

func (m *machine) top() (any, error) {
	if len(m.stack) <= m.floor() {
		return nil, corrupt("a pickle reads a value from an empty stack")
	}
	return m.stack[len(m.stack)-1], nil
}

// popMark returns a copy of the values above the last mark and removes both.
func (m *machine) popMark() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, corrupt("a pickle misses a mark")
	}
	from := m.floor()
	m.marks = m.marks[:len(m.marks)-1]
	items := append([]any(nil), m.stack[from:]...)
	clear(m.stack[from:])
	m.stack = m.stack[:from]
	return items, m.charge(24 + 16*len(items))
}

func (m *machine) popN(n int) ([]any, error) {
	if len(m.stack)-n < m.floor() {
		return nil, corrupt("a pickle takes a value from an empty stack")
	}
	from := len(m.stack) - n
	items := append([]any(nil), m.stack[from:]...)
	clear(m.stack[from:])
	m.stack = m.stack[:from]
	return items, m.charge(24 + 16*n)
}

// run executes one pickle up to its STOP and returns its value. The memo is that
// pickle's own.
func (m *machine) run() (any, error) {
	m.stack, m.marks, m.memo = m.stack[:0], m.marks[:0], map[uint32]any{}
	for {
		b, err := m.in.take(1)
		if err != nil {
			return nil, err
		}
		op := b[0]
		if op == opStop {
			break
		}
		if err := m.charge(1); err != nil { // so that time is bounded, too
			return nil, err
		}
		if err := m.step(op); err != nil {
			return nil, err
		}
	}
	v, err := m.pop()
	if err == nil && (len(m.stack) > 0 || len(m.marks) > 0) {
		err = corrupt("a pickle leaves %d values on its stack", len(m.stack))
	}
	return v, err
}

func (m *machine) memoize(index uint64) error {
	v, err := m.top()
	if err != nil {
		return err
	}
	if index > math.MaxUint32 {
		return corrupt("memo index %d is too large", index)
	}
	m.memo[uint32(index)] = v
	return m.charge(64)
}

func (m *machine) recall(index uint64) error {
	v, ok := m.memo[uint32(index)]
	if !ok || index > math.MaxUint32 {
		return corrupt("a pickle recalls value %d, which it never stored", index)
	}
	return m.push(v)
}

// text reads a str or bytes of n bytes: a short one at once, a long one as a span.
func (m *machine) text(n uint64, utf8 bool) error {
	if n > math.MaxInt64 {
		return corrupt("a string of %d bytes is claimed", n)
	}
	if n > maxShort {
		s := span{off: m.in.pos, n: int64(n), utf8: utf8}
		if err := m.in.skip(s.n); err != nil {
			return err
		}
		return m.push(s)
	}
	b, err := m.in.take(int(n))
	if err != nil {
		return err
	}
	if err := m.charge(16 + len(b)); err != nil {
		return err
	}
	if utf8 {
		return m.push(string(b))
	}
	return m.push(byteString(b))
}

func (m *machine) long(n uint64) error {
	if n > maxShort {
		return corrupt("an integer of %d bytes", n)
	}
	b, err := m.in.take(int(n))
	if err != nil {
		return err
	}
	if err := m.charge(32 + len(b)); err != nil {
		return err
	}
	return m.push(pickledLong(b))
}

func (m *machine) float() error {
	b, err := m.in.take(8)
	if err != nil {
		return err
	}
	return m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
}

func (m *machine) global(module, name string) error {
	c, err := m.lookUp(module, name)
	if err != nil {
		return err
	}
	return m.push(c)
}

// call replaces a class and its arguments by the result.
func (m *machine) call(callee, args any) error {
	list, ok := args.(tuple)
	if !ok {
		return corrupt("%s is called with %s instead of a tuple", kind(callee), kind(args))
	}
	v, err := m.apply(callee, list)
	if err != nil {
		return err
	}
	return m.push(v)
}

// apply returns what a class makes of arguments.
func (m *machine) apply(callee any, args tuple) (any, error) {
	if err := m.charge(64); err != nil {
		return nil, err
	}
	if m.calls >= maxDepth {
		return nil, corrupt("a pickle calls deeper than %d", maxDepth)
	}
	m.calls++
	defer func() { m.calls-- }()
	var name string
	switch callee := callee.(type) {
	case *class:
		if callee.call != nil {
			return callee.call(m, args)
		}
		name = callee.name
	case *object: // such as a bound method or functools.partial
		name = callee.class
	default:
		return nil, forbidden("a pickle calls %s", kind(callee))
	}
	return &object{class: name, args: args}, m.charge(128)
}

// build applies a state to the object on top of the stack.
func (m *machine) build(state any) error {
	v, err := m.top()
	if err != nil {
		return err
	}
	switch v := v.(type) {
	case *array:
		return v.setState(m, state)
	case *numpyType:
		return v.setState(state)
	case *object:
		v.state = state
		return nil
	case *dict, *list: // attributes such as a state dictionary's _metadata
		return nil
	}
	return corrupt("a pickle sets the state of %s", kind(v))
}

// appendTo extends the list on top of the stack.
func (m *machine) appendTo(items []any) error {
	v, err := m.top()
	if err != nil {
		return err
	}
	switch v := v.(type) {
	case *list:
		v.items = append(v.items, items...)
		return m.charge(16 * len(items))
	case *object:
		v.list = append(v.list, items...)
		return m.charge(16 * len(items))
	}
	return corrupt("a pickle appends to %s", kind(v))
}

// setItems extends the dictionary on top of the stack by keys and values in turn.
func (m *machine) setItems(items []any) error {
	v, err := m.top()
	if err != nil {
		return err
	}
	if len(items)%2 != 0 {
		return corrupt("a pickle sets a key without a value")
	}
	var to *[]pair
	switch v := v.(type) {
	case *dict:
		to = &v.items
	case *object:
		to = &v.items
	default:
		return corrupt("a pickle sets items of %s", kind(v))
	}
	for i := 0; i < len(items); i += 2 {
		*to = append(*to, pair{items[i], items[i+1]})
	}
	return m.charge(16 * len(items))
}
