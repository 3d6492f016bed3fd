//go:build !unix

package credential

import "errors"

func mkfifo(string) error { return errors.ErrUnsupported }
