package libtorchenv

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// write makes a file with its folders and returns its path.
func write(t *testing.T, path, text string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o755))
	return path
}

const (
	oldSymbol = "_ZN3c105ErrorC1ESsSs"
	newSymbol = "_ZN3c105ErrorC1ENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
)

// sharedLibrary is a 64-bit ELF file with the dynamic symbol and the needed library.
func sharedLibrary(symbol, needs string) string {
	le := binary.LittleEndian
	var file []byte
	place := func(data []byte) uint64 {
		for len(file)%8 != 0 {
			file = append(file, 0)
		}
		file = append(file, data...)
		return uint64(len(file) - len(data))
	}
	place(make([]byte, 64)) // the header, filled in below

	strings := "\x00" + symbol + "\x00" + needs + "\x00"
	stringsAt := place([]byte(strings))

	symbols := make([]byte, 2*24) // the first is empty
	le.PutUint32(symbols[24:], 1)
	symbols[28] = 0x12            // global function
	le.PutUint16(symbols[30:], 1) // defined in section 1
	symbolsAt := place(symbols)

	var dynamic []byte
	dynamic = le.AppendUint64(dynamic, 1) // DT_NEEDED
	dynamic = le.AppendUint64(dynamic, uint64(2+len(symbol)))
	dynamic = append(dynamic, make([]byte, 16)...) // DT_NULL
	dynamicAt := place(dynamic)

	names := "\x00.dynstr\x00.dynsym\x00.dynamic\x00.shstrtab\x00"
	namesAt := place([]byte(names))

	section := func(name, kind uint32, at, size uint64, link uint32, entry uint64) []byte {
		var s []byte
		s = le.AppendUint32(s, name)
		s = le.AppendUint32(s, kind)
		s = append(s, make([]byte, 16)...) // flags, address
		s = le.AppendUint64(s, at)
		s = le.AppendUint64(s, size)
		s = le.AppendUint32(s, link)
		s = le.AppendUint32(s, 0)
		s = le.AppendUint64(s, 1)
		return le.AppendUint64(s, entry)
	}
	table := make([]byte, 64)
	table = append(table, section(1, 3, stringsAt, uint64(len(strings)), 0, 0)...)
	table = append(table, section(9, 11, symbolsAt, uint64(len(symbols)), 1, 24)...)
	table = append(table, section(17, 6, dynamicAt, uint64(len(dynamic)), 1, 16)...)
	table = append(table, section(26, 3, namesAt, uint64(len(names)), 0, 0)...)
	tableAt := place(table)

	copy(file, "\x7fELF\x02\x01\x01")
	le.PutUint16(file[16:], 3)  // shared object
	le.PutUint16(file[18:], 62) // x86-64
	le.PutUint32(file[20:], 1)
	le.PutUint64(file[40:], tableAt)
	le.PutUint16(file[52:], 64)
	le.PutUint16(file[58:], 64)
	le.PutUint16(file[60:], 5)
	le.PutUint16(file[62:], 4)
	return string(file)
}

// tree makes what Inspect looks at, with the libraries in the folder lib below root.
func tree(t *testing.T, root, lib, symbol string) string {
	t.Helper()
	write(t, filepath.Join(root, "include", versionHeader),
		"#pragma once\n#define TORCH_VERSION_MAJOR 2\n\n#define TORCH_VERSION_MINOR 6\n#define TORCH_VERSION_PATCH 1\n")
	write(t, filepath.Join(root, lib, "libtorch.so"), "")
	write(t, filepath.Join(root, lib, "libtorch_cpu.so"), sharedLibrary(newSymbol, "libblas.so.3"))
	write(t, filepath.Join(root, lib, "libc10.so"), sharedLibrary(symbol, "libc.so.6"))
	return root
}

// python makes an interpreter that answers every question with dir.
func python(t *testing.T, dir string) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), "python"), "#!/bin/sh\necho '"+dir+"'\n")
}
