import { domainToASCII } from 'node:url'
import { sql, type Kysely } from 'kysely'

/**
 * Adds one canonical email address per user, and the networks from which users have logged in. If two accounts have the
 * same canonical address, the oldest keeps it. The others get one that cannot be entered (`<address> <user id>`): they
 * keep their account, and an administrator of all users gives them another address.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql`alter table users add column email_canonical text`.execute(db)
  const { rows } = await sql<{ id: string, email: string }>`select id, email from users order by created_at, id`
    .execute(db)
  const taken = new Set<string>()
  for (const { id, email } of rows) {
    const canonical = canonicalEmail(email)
    await sql`update users set email_canonical = ${
      taken.has(canonical) ? `${canonical} ${id}` : canonical
    } where id = ${id}`.execute(db)
    taken.add(canonical)
  }
  for (const statement of statements) await sql.raw(statement).execute(db)
}

/** A copy of src/identity/auth/email-address.ts at this version, because a migration never changes. */
function canonicalEmail (address: string): string {
  const invisible = /\p{Default_Ignorable_Code_Point}|\p{Cc}/gu
  const text = address.replaceAll(invisible, '').normalize('NFKC').replaceAll(invisible, '').trim().toLowerCase()
    .normalize('NFC')
  const at = text.lastIndexOf('@')
  if (at === -1) return text
  const domain = text.slice(at + 1).trim()
  // eslint-disable-next-line no-control-regex -- a migration never changes
  const rooted = /^[\x00-\x7f]*$/.test(domain) ? domain : domainToASCII(domain) || domain
  return `${text.slice(0, at).trim()}@${rooted.endsWith('.') ? rooted.slice(0, -1) : rooted}`
}

const statements = [
  'alter table users alter column email_canonical set not null',
  'create unique index users_email_canonical on users (email_canonical)',
  'drop index users_email',
  // During a rolling upgrade, nodes of the previous version write no canonical address. Their addresses are ASCII.
  `create function users_email_canonical() returns trigger language plpgsql as $$
  begin
    if new.email_canonical is null or
      (tg_op = 'UPDATE' and new.email <> old.email and new.email_canonical = old.email_canonical) then
      new.email_canonical := lower(new.email collate "C");
    end if;
    return new;
  end $$`,
  `create trigger users_email_canonical before insert or update of email on users
    for each row execute function users_email_canonical()`,
  `create table known_networks (
    user_id text not null references users on delete cascade,
    network_hash bytea not null,
    seen_at bigint not null,
    primary key (user_id, network_hash)
  )`
]
