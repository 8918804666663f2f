/**
 * Rights as users of the Postgres wire find them in the catalogs: not those of other users, whose roles
 * have their ids in their names. A user's dump has the rights of the three roles alone: elsewhere there
 * is nobody with those ids.
 *
 * What tools ask is answered so; a function that turns a number into a name does so for any number.
 */

/** Whose rights are left out. */
export type Whose = 'others' | 'all users'

const usersRole = 'kalam_u_'

/** Whether a text names such a role, as SQL; `current_user` may be a user's role itself. */
function namesUser(text: string, whose: Whose): string {
  const others = `pg_catalog.replace(${text}, current_user, '')`
  return `${whose === 'others' ? others : text} ~ '${usersRole}'`
}

/** A list of rights without theirs, as SQL. */
export function withoutUsers(acl: string, whose: Whose): string {
  return (
    `case when ${namesUser(`${acl}::text`, whose)} then array(select item ` +
    `from pg_catalog.unnest(${acl}) item where not ${namesUser('item::text', whose)}) else ${acl} end`
  )
}

/** Catalogs in which a statement that names the column with the rights finds fewer of them. */
export function catalogsOfRights(whose: Whose) {
  return new Map([
    ['pg_attribute', listed(attributeColumns, 'attacl', whose)],
    ['pg_proc', listed(functionColumns, 'proacl', whose)],
    ['pg_type', listed(typeColumns, 'typacl', whose)],
  ])
}

function listed(columns: readonly string[], acl: string, whose: Whose) {
  return { columns, instead: { [acl]: withoutUsers(acl, whose) } }
}

/** Roles, and what is for roles of which at least one is left. */
export function catalogsOfRoles(whose: Whose) {
  const role = (name: string) => `not ${namesUser(`${name}::text`, whose)}`
  const roles = `select from pg_catalog.pg_roles r where r.oid = any (polroles) and ${role('r.rolname')}`
  // In dumps, which these are for, without the policies that a table has by itself.
  const policies = whose === 'all users' ? `polname !~ '^kalam_' and ` : ''
  return new Map([
    ['pg_roles', { columns: roleColumns, where: role('rolname') }],
    ['pg_group', { columns: ['groname', 'grosysid', 'grolist'], where: role('groname') }],
    [
      'pg_policy',
      { columns: policyColumns, where: `${policies}(polroles = '{0}' or exists (${roles}))` },
    ],
  ])
}

/** Of lists that may be left empty: whether they are. */
export function hasRights(list: string, whose: Whose): string {
  return `exists (select from pg_catalog.unnest(${list}) item where not ${namesUser('item::text', whose)})`
}

const attributeColumns: readonly string[] = [
  ...['attrelid', 'attname', 'atttypid', 'attlen', 'attnum', 'atttypmod', 'attndims', 'attbyval'],
  ...['attalign', 'attstorage', 'attcompression', 'attnotnull', 'atthasdef', 'atthasmissing'],
  ...['attidentity', 'attgenerated', 'attisdropped', 'attislocal', 'attinhcount', 'attcollation'],
  ...['attstattarget', 'attacl', 'attoptions', 'attfdwoptions'],
]

const functionColumns: readonly string[] = [
  ...['oid', 'proname', 'pronamespace', 'proowner', 'prolang', 'procost', 'prorows'],
  ...['provariadic', 'prosupport', 'prokind', 'prosecdef', 'proleakproof', 'proisstrict'],
  ...['proretset', 'provolatile', 'proparallel', 'pronargs', 'pronargdefaults', 'prorettype'],
  ...['proargtypes', 'proallargtypes', 'proargmodes', 'proargnames', 'proargdefaults'],
  ...['protrftypes', 'prosrc', 'probin', 'prosqlbody', 'proconfig', 'proacl'],
]

const typeColumns: readonly string[] = [
  ...['oid', 'typname', 'typnamespace', 'typowner', 'typlen', 'typbyval', 'typtype'],
  ...['typcategory', 'typispreferred', 'typisdefined', 'typdelim', 'typrelid', 'typsubscript'],
  ...['typelem', 'typarray', 'typinput', 'typoutput', 'typreceive', 'typsend', 'typmodin'],
  ...['typmodout', 'typanalyze', 'typalign', 'typstorage', 'typnotnull', 'typbasetype'],
  ...['typtypmod', 'typndims', 'typcollation', 'typdefaultbin', 'typdefault', 'typacl'],
]

const roleColumns: readonly string[] = [
  ...['rolname', 'rolsuper', 'rolinherit', 'rolcreaterole', 'rolcreatedb', 'rolcanlogin'],
  ...['rolreplication', 'rolconnlimit', 'rolpassword', 'rolvaliduntil', 'rolbypassrls'],
  ...['rolconfig', 'oid'],
]

const policyColumns: readonly string[] = [
  ...['oid', 'polname', 'polrelid', 'polcmd', 'polpermissive', 'polroles', 'polqual'],
  'polwithcheck',
]
