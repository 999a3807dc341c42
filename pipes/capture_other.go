//go:build !unix

package pipes

import (
	"errors"
	"os"
)

// redirect is not possible here.
func redirect(int) (original, pipe *os.File, err error) {
	return nil, nil, errors.New("this system does not allow it")
}

// restore is never called here.
func restore(*os.File, int) error { return nil }
