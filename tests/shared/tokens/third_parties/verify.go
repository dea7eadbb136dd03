// Judges one token a line by the functions of docs/verifying-tokens.md: verify JWKS_URL ISSUER.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
)

func main() {
	ctx := context.Background()
	verifier := newVerifier(ctx, os.Args[2], os.Args[1])
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if token, err := verify(ctx, verifier, lines.Text()); err != nil {
			fmt.Println("refused")
		} else {
			fmt.Println("ok", token.Subject)
		}
	}
}
