package cli

import (
	"fmt"

	"github.com/metaxy-pipes/metaxy-pipes/internal/machine"
)

// A memoryLimit is the value of --memory-limit.
type memoryLimit int64

func (m *memoryLimit) String() string { return "" }
func (m *memoryLimit) Type() string   { return "SIZE" }

func (m *memoryLimit) Set(text string) error {
	n, err := machine.ParseSize(text)
	if err == nil && n < machine.MinLimit {
		err = fmt.Errorf("%s is too little; expected at least %d MiB", text, machine.MinLimit>>20)
	}
	*m = memoryLimit(n)
	return err
}

// bytes is the limit, or the default without one.
func (m memoryLimit) bytes() int64 {
	if m == 0 {
		return machine.DefaultLimit()
	}
	return int64(m)
}

// apply has the garbage collector keep to the limit, unless it was told another one. The rest of the limit is for memory
// that is not its own (see engine.Options.MemoryLimit).
func (m memoryLimit) apply() {
	machine.SetMemoryLimit(m.bytes() / 2)
}
