-- Runs once for each message, after its headers (opendkim-lua(3)). Another result than "continue" ends this filter's work on it.
-- Pigeonhole adds this field to what a script redirects, after any other action of the script: somebody else's words, not signed.
-- A vacation reply is a new message without it, and is signed by the signing table.
if odkim.get_mtasymbol(ctx, "{daemon_name}") == "reinjected" and
   odkim.get_header(ctx, "X-Sieve-Redirected-From", 0) ~= nil then
    odkim.set_result(ctx, SMFIS_ACCEPT)
end
return nil
