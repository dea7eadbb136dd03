// Judges one token a line with go-oidc: verify JWKS_URL ISSUER.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"

	oidc "github.com/coreos/go-oidc"
)

func main() {
	ctx := context.Background()
	keys := oidc.NewRemoteKeySet(ctx, os.Args[1])
	verifier := oidc.NewVerifier(os.Args[2], keys, &oidc.Config{
		ClientID:             "content",
		SupportedSigningAlgs: []string{oidc.RS256},
	})
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if token, err := verifier.Verify(ctx, lines.Text()); err != nil {
			fmt.Println("refused")
		} else {
			fmt.Println("ok", token.Subject)
		}
	}
}
