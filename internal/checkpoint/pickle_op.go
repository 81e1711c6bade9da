package checkpoint

// The opcodes of pickle protocols 0 to 5 (docs.python.org, module pickletools), without
// those for a registry of extensions and for buffers outside the pickle.
const (
	opMark           = '('
	opStop           = '.'
	opPop            = '0'
	opPopMark        = '1'
	opDup            = '2'
	opBinFloat       = 'G'
	opBinInt         = 'J'
	opBinInt1        = 'K'
	opBinInt2        = 'M'
	opNone           = 'N'
	opBinPersID      = 'Q'
	opReduce         = 'R'
	opBinString      = 'T'
	opShortBinString = 'U'
	opBinUnicode     = 'X'
	opBinBytes       = 'B'
	opShortBinBytes  = 'C'
	opAppend         = 'a'
	opBuild          = 'b'
	opGlobal         = 'c'
	opDict           = 'd'
	opEmptyDict      = '}'
	opAppends        = 'e'
	opBinGet         = 'h'
	opLongBinGet     = 'j'
	opList           = 'l'
	opEmptyList      = ']'
	opBinPut         = 'q'
	opLongBinPut     = 'r'
	opSetItem        = 's'
	opTuple          = 't'
	opEmptyTuple     = ')'
	opSetItems       = 'u'

	// Of protocols 0 and 1: a line follows, except for OBJ.
	opFloat   = 'F'
	opInt     = 'I'
	opLong    = 'L'
	opPersID  = 'P'
	opString  = 'S'
	opUnicode = 'V'
	opGet     = 'g'
	opInst    = 'i'
	opObj     = 'o'
	opPut     = 'p'

	opProto    = 0x80
	opNewObj   = 0x81
	opTuple1   = 0x85
	opTuple2   = 0x86
	opTuple3   = 0x87
	opNewTrue  = 0x88
	opNewFalse = 0x89
	opLong1    = 0x8a
	opLong4    = 0x8b

	opShortBinUnicode = 0x8c
	opBinUnicode8     = 0x8d
	opBinBytes8       = 0x8e
	opEmptySet        = 0x8f
	opAddItems        = 0x90
	opFrozenSet       = 0x91
	opNewObjEx        = 0x92
	opStackGlobal     = 0x93
	opMemoize         = 0x94
	opFrame           = 0x95

	opByteArray8     = 0x96
	opReadonlyBuffer = 0x98
)

// operand is the width of the number behind an opcode: a value, a length or a memo index.
var operand = map[byte]int{
	opBinInt: 4, opBinInt1: 1, opBinInt2: 2,
	opBinString: 4, opShortBinString: 1, opBinUnicode: 4, opShortBinUnicode: 1, opBinUnicode8: 8,
	opBinBytes: 4, opShortBinBytes: 1, opBinBytes8: 8, opByteArray8: 8,
	opLong1: 1, opLong4: 4,
	opBinGet: 1, opLongBinGet: 4, opBinPut: 1, opLongBinPut: 4,
	opProto: 1, opFrame: 8,
}

// step executes one opcode.
func (m *machine) step(op byte) error {
	if width, ok := operand[op]; ok {
		n, err := m.in.uint(width)
		if err != nil {
			return err
		}
		return m.stepNumber(op, n)
	}
	switch op {
	case opNone:
		return m.push(nil)
	case opNewTrue, opNewFalse:
		return m.push(op == opNewTrue)
	case opBinFloat:
		return m.float()
	case opEmptyTuple:
		return m.push(tuple{})
	case opEmptyList, opEmptySet:
		return m.pushNew(&list{})
	case opEmptyDict:
		return m.pushNew(&dict{})
	case opMark:
		if len(m.marks) >= maxMarks {
			return corrupt("a pickle has more than %d marks", maxMarks)
		}
		m.marks = append(m.marks, len(m.stack))
		return nil
	case opMemoize:
		return m.memoize(uint64(len(m.memo)))
	case opReadonlyBuffer: // changes nothing of the value on top
		return nil
	case opGlobal:
		module, err := m.in.line()
		if err != nil {
			return err
		}
		name, err := m.in.line()
		if err != nil {
			return err
		}
		return m.global(module, name)
	case opFloat, opInt, opLong, opPersID, opString, opUnicode, opGet, opPut:
		return m.stepLine(op)
	case opInst:
		return m.instance()
	case opTuple, opList, opFrozenSet, opDict, opPopMark, opAppends, opAddItems, opSetItems, opObj:
		items, err := m.popMark()
		if err != nil {
			return err
		}
		return m.stepItems(op, items)
	}
	return m.stepStack(op)
}

func (m *machine) pushNew(v any) error {
	if err := m.charge(48); err != nil {
		return err
	}
	return m.push(v)
}

// stepNumber executes an opcode with a number behind it.
func (m *machine) stepNumber(op byte, n uint64) error {
	switch op {
	case opBinInt:
		return m.push(int64(int32(n)))
	case opBinInt1, opBinInt2:
		return m.push(int64(n))
	case opLong1, opLong4:
		return m.long(n)
	case opBinUnicode, opShortBinUnicode, opBinUnicode8:
		return m.text(n, true)
	case opBinString, opShortBinString, opBinBytes, opShortBinBytes, opBinBytes8, opByteArray8:
		return m.text(n, false)
	case opBinGet, opLongBinGet:
		return m.recall(n)
	case opBinPut, opLongBinPut:
		return m.memoize(n)
	case opProto:
		if n > maxProtocol {
			return unsupported("pickle protocol %d is newer than %d", n, maxProtocol)
		}
	case opFrame:
		if n > uint64(m.in.end-m.in.pos) {
			return corrupt("a pickle frame of %d bytes is claimed, of which the file has %d", n, m.in.end-m.in.pos)
		}
	}
	return nil
}

// stepItems executes an opcode that takes all values above the last mark.
func (m *machine) stepItems(op byte, items []any) error {
	switch op {
	case opTuple:
		return m.push(tuple(items))
	case opList, opFrozenSet:
		return m.pushNew(&list{items})
	case opDict:
		if err := m.pushNew(&dict{}); err != nil {
			return err
		}
		return m.setItems(items)
	case opAppends, opAddItems:
		return m.appendTo(items)
	case opSetItems:
		return m.setItems(items)
	case opObj:
		if len(items) == 0 {
			return corrupt("a pickle makes an object without a class")
		}
		return m.call(items[0], tuple(items[1:]))
	}
	return nil // POP_MARK
}

// taken is the number of values that an opcode takes from the stack.
var taken = map[byte]int{
	opPop: 1, opTuple1: 1, opTuple2: 2, opTuple3: 3, opAppend: 1, opSetItem: 2, opBuild: 1,
	opReduce: 2, opNewObj: 2, opNewObjEx: 3, opStackGlobal: 2, opBinPersID: 1,
}

// stepStack executes an opcode that takes a fixed number of values.
func (m *machine) stepStack(op byte) error {
	if op == opPop && len(m.marks) > 0 && len(m.stack) == m.floor() {
		m.marks = m.marks[:len(m.marks)-1] // Python's POP also drops a mark
		return nil
	}
	if op == opDup {
		v, err := m.top()
		if err != nil {
			return err
		}
		return m.push(v)
	}
	n, ok := taken[op]
	if !ok {
		return unsupported("pickle opcode 0x%02x at position %d is not one of protocols 0 to %d that data needs", op, m.in.pos-1, maxProtocol)
	}
	v, err := m.popN(n)
	if err != nil {
		return err
	}
	switch op {
	case opTuple1, opTuple2, opTuple3:
		return m.push(tuple(v))
	case opAppend:
		return m.appendTo(v)
	case opSetItem:
		return m.setItems(v)
	case opBuild:
		return m.build(v[0])
	case opReduce, opNewObj, opNewObjEx: // the last has keyword arguments, which no class in allowed needs
		return m.call(v[0], v[1])
	case opStackGlobal:
		module, ok1 := asText(v[0])
		name, ok2 := asText(v[1])
		if !ok1 || !ok2 {
			return corrupt("a pickle names a class by %s and %s", kind(v[0]), kind(v[1]))
		}
		return m.global(module, name)
	case opBinPersID:
		return m.resolve(v[0])
	}
	return nil // POP
}

// resolve pushes what a persistent id stands for.
func (m *machine) resolve(id any) error {
	if m.persist == nil {
		return m.push(otherID(id))
	}
	v, err := m.persist(id)
	if err != nil {
		return err
	}
	if err := m.charge(128); err != nil {
		return err
	}
	return m.push(v)
}
