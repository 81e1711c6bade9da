package processes

import (
	"fmt"

	"github.com/diffusioninst/go/internal/processes"
)

// A Store is where processes meet, kept by a program that starts them.
type Store struct {
	store *processes.Store
	port  int
}

// OpenStore opens a store on a free port of this machine.
func OpenStore() (*Store, error) {
	if !processes.Available() {
		return nil, fmt.Errorf("processes: %w", ErrUnavailable)
	}
	s, port, err := processes.OpenStore("127.0.0.1", 0, true, patience)
	if err != nil {
		return nil, fmt.Errorf("processes: open a store: %w", firstLine(err))
	}
	return &Store{s, port}, nil
}

// Environment returns the variables, as torchrun has them, from which [FromEnvironment] of a local process
// reads its plan.
func (s *Store) Environment(rank, size int) []string {
	return []string{
		"MASTER_ADDR=127.0.0.1", fmt.Sprint("MASTER_PORT=", s.port), "TORCHELASTIC_USE_AGENT_STORE=True", "TORCHELASTIC_RESTART_COUNT=0",
		fmt.Sprint("RANK=", rank), fmt.Sprint("WORLD_SIZE=", size), fmt.Sprint("LOCAL_RANK=", rank), fmt.Sprint("LOCAL_WORLD_SIZE=", size),
	}
}

// Close ends the store.
func (s *Store) Close() {
	if s != nil && s.store != nil {
		s.store.Close()
	}
}
