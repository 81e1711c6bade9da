package processor

import (
	"sync"

	"golang.org/x/sys/cpu"
	"golang.org/x/sys/unix"
)

func hasAMX() bool { return cpu.X86.HasAMXBF16 && mayUseTiles() }

// mayUseTiles is whether Linux lets this process use AMX's registers, which it must be asked for. CPUID says that the processor has
// them on systems without that, too.
var mayUseTiles = sync.OnceValue(func() bool {
	const requestPermission, tileData = 0x1023, 18 // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
	_, _, fault := unix.Syscall(unix.SYS_ARCH_PRCTL, requestPermission, tileData, 0)
	return fault == 0
})
